from songs.lists import *
import unittest


class TestLists(unittest.TestCase):
    def test_next_index_1(self):
        self.assertEqual(next_index(0, 3), 1)

    def test_next_index_2(self):
        self.assertEqual(next_index(2, 3), 0)

    def test_next_index_3(self):
        self.assertEqual(next_index(1, 3), 2)

    def test_next_index_4(self):
        self.assertEqual(next_index(0, 1), 0)

    def test_previous_index_1(self):
        self.assertEqual(previous_index(0, 3), 2)

    def test_previous_index_2(self):
        self.assertEqual(previous_index(2, 3), 1)

    def test_previous_index_3(self):
        self.assertEqual(previous_index(1, 5), 0)

    def test_move_up_1(self):
        self.assertEqual(move_up(["a", "b", "c"], "c"), ["a", "c", "b"])

    def test_move_up_2(self):
        self.assertEqual(move_up(["a", "b"], "a"), ["a", "b"])

    def test_move_up_3(self):
        self.assertEqual(move_up(["a", "b"], "b"), ["b", "a"])

    def test_remove_song_1(self):
        self.assertEqual(remove_song(["a", "b", "a"], "a"), ["b"])

    def test_remove_song_2(self):
        self.assertEqual(remove_song(["a"], "b"), ["a"])

    def test_remove_song_3(self):
        self.assertEqual(remove_song([], "a"), [])

    def test_insert_after_1(self):
        self.assertEqual(insert_after(["a", "b"], "a", "x"), ["a", "x", "b"])

    def test_insert_after_2(self):
        self.assertEqual(insert_after(["a"], "a", "x"), ["a", "x"])

    def test_insert_after_3(self):
        self.assertEqual(insert_after(["a", "b"], "b", "c"), ["a", "b", "c"])

    def test_unique_1(self):
        self.assertEqual(unique(["a", "b", "a"]), ["a", "b"])

    def test_unique_2(self):
        self.assertEqual(unique([]), [])

    def test_unique_3(self):
        self.assertEqual(unique(["b", "b"]), ["b"])

    def test_rotate_list_1(self):
        self.assertEqual(rotate_list(["a", "b", "c"], 1), ["b", "c", "a"])

    def test_rotate_list_2(self):
        self.assertEqual(rotate_list(["a", "b"], 0), ["a", "b"])

    def test_rotate_list_3(self):
        self.assertEqual(rotate_list(["a", "b", "c"], 2), ["c", "a", "b"])

    def test_interleave_1(self):
        self.assertEqual(interleave(["a", "b"], ["x", "y"]), ["a", "x", "b", "y"])

    def test_interleave_2(self):
        self.assertEqual(interleave(["a"], []), [])

    def test_interleave_3(self):
        self.assertEqual(interleave(["a", "b"], ["x"]), ["a", "x"])

    def test_by_artist_1(self):
        self.assertEqual(by_artist(["Abba - One", "Cher - Two"], "Abba"), ["One"])

    def test_by_artist_2(self):
        self.assertEqual(by_artist(["Abba - One"], "Cher"), [])

    def test_by_artist_3(self):
        self.assertEqual(by_artist([], "Cher"), [])

    def test_title_of_1(self):
        self.assertEqual(title_of("Abba - One"), "One")

    def test_title_of_2(self):
        self.assertEqual(title_of("One"), "One")

    def test_title_of_3(self):
        self.assertEqual(title_of("A - B - C"), "C")

    def test_rating_1(self):
        self.assertEqual(rating(4, 1), 4)

    def test_rating_2(self):
        self.assertEqual(rating(0, 0), 0)

    def test_rating_3(self):
        self.assertEqual(rating(3, 0), 5)

    def test_rating_4(self):
        self.assertEqual(rating(1, 2), 1)

    def test_is_favorite_1(self):
        self.assertEqual(is_favorite(10, 4), True)

    def test_is_favorite_2(self):
        self.assertEqual(is_favorite(10, 5), False)

    def test_is_favorite_3(self):
        self.assertEqual(is_favorite(9, 0), False)

    def test_is_favorite_4(self):
        self.assertEqual(is_favorite(30, 2), True)

    def test_top_1(self):
        self.assertEqual(top({"a": 5, "b": 9}, 1), ["b"])

    def test_top_2(self):
        self.assertEqual(top({"b": 3, "a": 3}, 2), ["a", "b"])

    def test_top_3(self):
        self.assertEqual(top({"x": 1}, 0), [])
