from heat.readings import *
import unittest


class TestReadings(unittest.TestCase):
    def test_hottest_1(self):
        self.assertEqual(hottest([3, 9, 5]), 9)

    def test_hottest_2(self):
        self.assertEqual(hottest([]), None)

    def test_hottest_3(self):
        self.assertEqual(hottest([-5, -2]), -2)

    def test_daily_range_1(self):
        self.assertEqual(daily_range([3, 9, 5]), 6)

    def test_daily_range_2(self):
        self.assertEqual(daily_range([4]), 0)

    def test_daily_range_3(self):
        self.assertEqual(daily_range([-5, 5]), 10)

    def test_average_1(self):
        self.assertEqual(average([1, 2, 3]), 2)

    def test_average_2(self):
        self.assertEqual(average([5, 6]), 5)

    def test_average_3(self):
        self.assertEqual(average([-1, 1]), 0)

    def test_frost_days_1(self):
        self.assertEqual(frost_days([-1, 0, 1]), 1)

    def test_frost_days_2(self):
        self.assertEqual(frost_days([]), 0)

    def test_frost_days_3(self):
        self.assertEqual(frost_days([-5, -2]), 2)

    def test_hot_streak_1(self):
        self.assertEqual(hot_streak([30, 31, 20, 30], 30), 2)

    def test_hot_streak_2(self):
        self.assertEqual(hot_streak([10], 30), 0)

    def test_hot_streak_3(self):
        self.assertEqual(hot_streak([], 30), 0)

    def test_hot_streak_4(self):
        self.assertEqual(hot_streak([30, 20, 31, 32], 30), 2)

    def test_changes_1(self):
        self.assertEqual(changes([1, 3, 2]), [2, -1])

    def test_changes_2(self):
        self.assertEqual(changes([5]), [])

    def test_changes_3(self):
        self.assertEqual(changes([4, 4]), [0])

    def test_is_rising_1(self):
        self.assertEqual(is_rising([1, 2, 3]), True)

    def test_is_rising_2(self):
        self.assertEqual(is_rising([1, 1]), False)

    def test_is_rising_3(self):
        self.assertEqual(is_rising([3, 2]), False)

    def test_is_rising_4(self):
        self.assertEqual(is_rising([7]), True)

    def test_smooth_1(self):
        self.assertEqual(smooth([1, 3, 5]), [2, 4])

    def test_smooth_2(self):
        self.assertEqual(smooth([4]), [])

    def test_smooth_3(self):
        self.assertEqual(smooth([2, 3]), [2])

    def test_first_above_1(self):
        self.assertEqual(first_above([1, 5, 9], 4), 1)

    def test_first_above_2(self):
        self.assertEqual(first_above([1, 2], 2), -1)

    def test_first_above_3(self):
        self.assertEqual(first_above([7], 0), 0)

    def test_valid_1(self):
        self.assertEqual(valid([20, 60, -90]), [20])

    def test_valid_2(self):
        self.assertEqual(valid([59, -89]), [59, -89])

    def test_valid_3(self):
        self.assertEqual(valid([]), [])

    def test_trend_1(self):
        self.assertEqual(trend([1, 5]), "up")

    def test_trend_2(self):
        self.assertEqual(trend([5, 1]), "down")

    def test_trend_3(self):
        self.assertEqual(trend([3, 9, 3]), "flat")

    def test_trend_4(self):
        self.assertEqual(trend([4]), "flat")

    def test_adjust_1(self):
        self.assertEqual(Heater(20).adjust(19), 1)

    def test_adjust_2(self):
        self.assertEqual(Heater(20).adjust(20), 0)

    def test_adjust_3(self):
        self.assertEqual(Heater(20).adjust(25), 0)

    def test_missing_degrees_1(self):
        self.assertEqual(Heater(20).missing_degrees(15), 5)

    def test_missing_degrees_2(self):
        self.assertEqual(Heater(20).missing_degrees(20), 0)

    def test_missing_degrees_3(self):
        self.assertEqual(Heater(20).missing_degrees(23), 0)
