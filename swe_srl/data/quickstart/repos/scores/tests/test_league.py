from scores.league import *
import unittest


class TestLeague(unittest.TestCase):
    def test_add_result_1(self):
        self.assertEqual(add_result({}, "a", 3), {"a": 3})

    def test_add_result_2(self):
        self.assertEqual(add_result({"a": 3}, "a", 1), {"a": 4})

    def test_add_result_3(self):
        self.assertEqual(add_result({"a": 1}, "b", 0), {"a": 1, "b": 0})

    def test_leaders_1(self):
        self.assertEqual(leaders({"a": 3, "b": 5}), ["b"])

    def test_leaders_2(self):
        self.assertEqual(leaders({"b": 5, "a": 5}), ["a", "b"])

    def test_leaders_3(self):
        self.assertEqual(leaders({}), [])

    def test_leaders_4(self):
        self.assertEqual(leaders({"a": 0, "c": 9, "b": 2}), ["c"])

    def test_standings_1(self):
        self.assertEqual(standings({"a": 3, "b": 5}), ["b", "a"])

    def test_standings_2(self):
        self.assertEqual(standings({"b": 5, "a": 5}), ["a", "b"])

    def test_standings_3(self):
        self.assertEqual(standings({}), [])

    def test_place_1(self):
        self.assertEqual(place({"a": 3, "b": 5}, "a"), 2)

    def test_place_2(self):
        self.assertEqual(place({"a": 3, "b": 5}, "b"), 1)

    def test_place_3(self):
        self.assertEqual(place({"a": 1}, "a"), 1)

    def test_relegated_1(self):
        self.assertEqual(relegated({"a": 3, "b": 5}, 1), ["a"])

    def test_relegated_2(self):
        self.assertEqual(relegated({"a": 3}, 0), [])

    def test_relegated_3(self):
        self.assertEqual(relegated({"a": 1, "b": 2, "c": 3}, 2), ["b", "a"])

    def test_rounds_needed_1(self):
        self.assertEqual(rounds_needed(4), 3)

    def test_rounds_needed_2(self):
        self.assertEqual(rounds_needed(5), 5)

    def test_rounds_needed_3(self):
        self.assertEqual(rounds_needed(2), 1)

    def test_games_count_1(self):
        self.assertEqual(games_count(4, 1), 6)

    def test_games_count_2(self):
        self.assertEqual(games_count(4, 2), 12)

    def test_games_count_3(self):
        self.assertEqual(games_count(1, 2), 0)

    def test_games_count_4(self):
        self.assertEqual(games_count(3, 1), 3)

    def test_cup_rounds_1(self):
        self.assertEqual(cup_rounds(8), 3)

    def test_cup_rounds_2(self):
        self.assertEqual(cup_rounds(5), 3)

    def test_cup_rounds_3(self):
        self.assertEqual(cup_rounds(1), 0)

    def test_cup_rounds_4(self):
        self.assertEqual(cup_rounds(2), 1)

    def test_points_behind_1(self):
        self.assertEqual(points_behind({"a": 3, "b": 5}, "a"), 2)

    def test_points_behind_2(self):
        self.assertEqual(points_behind({"a": 3, "b": 5}, "b"), 0)

    def test_points_behind_3(self):
        self.assertEqual(points_behind({"a": 0, "b": 9}, "a"), 9)

    def test_can_win_1(self):
        self.assertEqual(can_win(10, 2, 16), True)

    def test_can_win_2(self):
        self.assertEqual(can_win(10, 2, 17), False)

    def test_can_win_3(self):
        self.assertEqual(can_win(10, 0, 10), True)

    def test_pairings_1(self):
        self.assertEqual(pairings(["a", "b", "c"]), [("a", "b"), ("a", "c"), ("b", "c")])

    def test_pairings_2(self):
        self.assertEqual(pairings(["a"]), [])

    def test_pairings_3(self):
        self.assertEqual(pairings(["x", "y"]), [("x", "y")])

    def test_seeds_1(self):
        self.assertEqual(seeds(["a", "b", "c", "d"]), [("a", "d"), ("b", "c")])

    def test_seeds_2(self):
        self.assertEqual(seeds(["a", "b"]), [("a", "b")])

    def test_seeds_3(self):
        self.assertEqual(seeds(["a", "b", "c"]), [("a", "c")])
