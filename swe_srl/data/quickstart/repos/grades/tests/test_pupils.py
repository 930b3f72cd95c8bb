from grades.pupils import *
import unittest


class TestPupils(unittest.TestCase):
    def test_mean_score_1(self):
        self.assertEqual(mean_score([1, 2, 3]), 2)

    def test_mean_score_2(self):
        self.assertEqual(mean_score([]), 0)

    def test_mean_score_3(self):
        self.assertEqual(mean_score([5, 6]), 5)

    def test_best_pupil_1(self):
        self.assertEqual(best_pupil({"ann": 5, "bob": 9}), "bob")

    def test_best_pupil_2(self):
        self.assertEqual(best_pupil({"bob": 5, "ann": 5}), "ann")

    def test_best_pupil_3(self):
        self.assertEqual(best_pupil({}), None)

    def test_ranking_1(self):
        self.assertEqual(ranking({"ann": 5, "bob": 9}), ["bob", "ann"])

    def test_ranking_2(self):
        self.assertEqual(ranking({"b": 5, "a": 5}), ["a", "b"])

    def test_ranking_3(self):
        self.assertEqual(ranking({}), [])

    def test_rank_of_1(self):
        self.assertEqual(rank_of({"a": 5, "b": 9}, "a"), 2)

    def test_rank_of_2(self):
        self.assertEqual(rank_of({"a": 5, "b": 5}, "b"), 1)

    def test_rank_of_3(self):
        self.assertEqual(rank_of({"a": 5, "b": 3}, "a"), 1)

    def test_above_1(self):
        self.assertEqual(above({"a": 5, "b": 9}, 5), ["b"])

    def test_above_2(self):
        self.assertEqual(above({"b": 7, "a": 8}, 6), ["a", "b"])

    def test_above_3(self):
        self.assertEqual(above({}, 0), [])

    def test_count_letters_1(self):
        self.assertEqual(count_letters("AAB"), {"A": 2, "B": 1})

    def test_count_letters_2(self):
        self.assertEqual(count_letters(""), {})

    def test_count_letters_3(self):
        self.assertEqual(count_letters("FC"), {"F": 1, "C": 1})

    def test_spread_1(self):
        self.assertEqual(spread([3, 9, 5]), 6)

    def test_spread_2(self):
        self.assertEqual(spread([]), 0)

    def test_spread_3(self):
        self.assertEqual(spread([4]), 0)

    def test_improved_1(self):
        self.assertEqual(improved({"a": 5}, {"a": 6}), ["a"])

    def test_improved_2(self):
        self.assertEqual(improved({"a": 5}, {"a": 5}), [])

    def test_improved_3(self):
        self.assertEqual(improved({"a": 5, "b": 1}, {"b": 2}), ["b"])

    def test_all_passed_1(self):
        self.assertEqual(all_passed({"a": 50}, 50), True)

    def test_all_passed_2(self):
        self.assertEqual(all_passed({"a": 60, "b": 40}, 50), False)

    def test_all_passed_3(self):
        self.assertEqual(all_passed({}, 50), True)

    def test_seat_rows_1(self):
        self.assertEqual(seat_rows(10, 5), 2)

    def test_seat_rows_2(self):
        self.assertEqual(seat_rows(11, 5), 3)

    def test_seat_rows_3(self):
        self.assertEqual(seat_rows(0, 5), 0)

    def test_seat_rows_4(self):
        self.assertEqual(seat_rows(3, 5), 1)

    def test_full_name_1(self):
        self.assertEqual(full_name("Ada", "Byron"), "BYRON, Ada")

    def test_full_name_2(self):
        self.assertEqual(full_name("Ada", ""), "Ada")

    def test_full_name_3(self):
        self.assertEqual(full_name("Al", "Po"), "PO, Al")

    def test_pair_up_1(self):
        self.assertEqual(pair_up(["a", "b", "c"]), [["a", "b"], ["c"]])

    def test_pair_up_2(self):
        self.assertEqual(pair_up([]), [])

    def test_pair_up_3(self):
        self.assertEqual(pair_up(["a", "b"]), [["a", "b"]])
