from scores.games import *
import unittest


class TestGames(unittest.TestCase):
    def test_match_points_1(self):
        self.assertEqual(match_points(2, 1), 3)

    def test_match_points_2(self):
        self.assertEqual(match_points(1, 1), 1)

    def test_match_points_3(self):
        self.assertEqual(match_points(0, 1), 0)

    def test_winner_1(self):
        self.assertEqual(winner({"ajax": 2, "bern": 1}), "ajax")

    def test_winner_2(self):
        self.assertEqual(winner({"ajax": 1, "bern": 1}), None)

    def test_winner_3(self):
        self.assertEqual(winner({"ajax": 0, "bern": 1}), "bern")

    def test_goal_difference_1(self):
        self.assertEqual(goal_difference([(3, 1), (0, 1)]), 1)

    def test_goal_difference_2(self):
        self.assertEqual(goal_difference([]), 0)

    def test_goal_difference_3(self):
        self.assertEqual(goal_difference([(1, 4)]), -3)

    def test_parse_result_1(self):
        self.assertEqual(parse_result("3:1"), (3, 1))

    def test_parse_result_2(self):
        self.assertEqual(parse_result("0:0"), (0, 0))

    def test_parse_result_3(self):
        self.assertEqual(parse_result("2:10"), (2, 10))

    def test_show_result_1(self):
        self.assertEqual(show_result(3, 1), "3:1")

    def test_show_result_2(self):
        self.assertEqual(show_result(1, 3), "3:1")

    def test_show_result_3(self):
        self.assertEqual(show_result(2, 2), "2:2")

    def test_wins_1(self):
        self.assertEqual(wins([(3, 1), (0, 1), (2, 2)]), 1)

    def test_wins_2(self):
        self.assertEqual(wins([]), 0)

    def test_wins_3(self):
        self.assertEqual(wins([(1, 0), (5, 4)]), 2)

    def test_unbeaten_1(self):
        self.assertEqual(unbeaten([(1, 1), (2, 0)]), True)

    def test_unbeaten_2(self):
        self.assertEqual(unbeaten([(0, 1)]), False)

    def test_unbeaten_3(self):
        self.assertEqual(unbeaten([]), True)

    def test_unbeaten_4(self):
        self.assertEqual(unbeaten([(2, 1), (0, 3)]), False)

    def test_streak_1(self):
        self.assertEqual(streak("LWW"), 2)

    def test_streak_2(self):
        self.assertEqual(streak("WWL"), 0)

    def test_streak_3(self):
        self.assertEqual(streak(""), 0)

    def test_streak_4(self):
        self.assertEqual(streak("WWW"), 3)

    def test_set_won_1(self):
        self.assertEqual(set_won(6, 4), True)

    def test_set_won_2(self):
        self.assertEqual(set_won(6, 5), False)

    def test_set_won_3(self):
        self.assertEqual(set_won(7, 6), True)

    def test_set_won_4(self):
        self.assertEqual(set_won(5, 0), False)

    def test_tennis_points_1(self):
        self.assertEqual(tennis_points(0), "0")

    def test_tennis_points_2(self):
        self.assertEqual(tennis_points(3), "40")

    def test_tennis_points_3(self):
        self.assertEqual(tennis_points(4), "game")

    def test_match_over_1(self):
        self.assertEqual(match_over(3, 1, 3), True)

    def test_match_over_2(self):
        self.assertEqual(match_over(1, 3, 3), True)

    def test_match_over_3(self):
        self.assertEqual(match_over(2, 2, 3), False)

    def test_bonus_1(self):
        self.assertEqual(bonus(5, 2), 5)

    def test_bonus_2(self):
        self.assertEqual(bonus(5, 3), 15)

    def test_bonus_3(self):
        self.assertEqual(bonus(0, 5), 30)
