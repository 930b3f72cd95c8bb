from stats.series import *
import unittest


class TestSeries(unittest.TestCase):
    def test_running_sum_1(self):
        self.assertEqual(running_sum([1, 2, 3]), [1, 3, 6])

    def test_running_sum_2(self):
        self.assertEqual(running_sum([]), [])

    def test_running_sum_3(self):
        self.assertEqual(running_sum([5, -5]), [5, 0])

    def test_differences_1(self):
        self.assertEqual(differences([1, 3, 2]), [2, -1])

    def test_differences_2(self):
        self.assertEqual(differences([4]), [])

    def test_differences_3(self):
        self.assertEqual(differences([0, 0, 7]), [0, 7])

    def test_moving_max_1(self):
        self.assertEqual(moving_max([1, 3, 2], 2), [3, 3])

    def test_moving_max_2(self):
        self.assertEqual(moving_max([5], 1), [5])

    def test_moving_max_3(self):
        self.assertEqual(moving_max([1, 2], 3), [])

    def test_moving_max_4(self):
        self.assertEqual(moving_max([4, 1, 2, 3], 3), [4, 3])

    def test_longest_rise_1(self):
        self.assertEqual(longest_rise([1, 2, 3, 1]), 3)

    def test_longest_rise_2(self):
        self.assertEqual(longest_rise([]), 0)

    def test_longest_rise_3(self):
        self.assertEqual(longest_rise([2, 2]), 1)

    def test_longest_rise_4(self):
        self.assertEqual(longest_rise([5, 1, 2]), 2)

    def test_peak_1(self):
        self.assertEqual(peak([1, 9, 3]), 1)

    def test_peak_2(self):
        self.assertEqual(peak([]), -1)

    def test_peak_3(self):
        self.assertEqual(peak([4, 4]), 0)

    def test_turning_points_1(self):
        self.assertEqual(turning_points([1, 3, 2]), 1)

    def test_turning_points_2(self):
        self.assertEqual(turning_points([1, 2, 3]), 0)

    def test_turning_points_3(self):
        self.assertEqual(turning_points([0, 5, 1, 6]), 2)

    def test_is_constant_1(self):
        self.assertEqual(is_constant([3, 3]), True)

    def test_is_constant_2(self):
        self.assertEqual(is_constant([3, 4]), False)

    def test_is_constant_3(self):
        self.assertEqual(is_constant([7]), True)

    def test_sample_every_1(self):
        self.assertEqual(sample_every([1, 2, 3, 4], 2), [2, 4])

    def test_sample_every_2(self):
        self.assertEqual(sample_every([1, 2], 1), [1, 2])

    def test_sample_every_3(self):
        self.assertEqual(sample_every([1, 2], 3), [])

    def test_pad_series_1(self):
        self.assertEqual(pad_series([1], 3, 0), [1, 0, 0])

    def test_pad_series_2(self):
        self.assertEqual(pad_series([1, 2], 2, 0), [1, 2])

    def test_pad_series_3(self):
        self.assertEqual(pad_series([], 1, 9), [9])

    def test_pad_series_4(self):
        self.assertEqual(pad_series([1, 2, 3], 1, 0), [1, 2, 3])

    def test_growth_1(self):
        self.assertEqual(growth(50, 75), 50)

    def test_growth_2(self):
        self.assertEqual(growth(0, 5), 0)

    def test_growth_3(self):
        self.assertEqual(growth(80, 60), -25)

    def test_crossings_1(self):
        self.assertEqual(crossings([1, 5, 2, 6], 5), 2)

    def test_crossings_2(self):
        self.assertEqual(crossings([5, 6], 5), 0)

    def test_crossings_3(self):
        self.assertEqual(crossings([], 1), 0)

    def test_crossings_4(self):
        self.assertEqual(crossings([1, 9, 1], 4), 1)

    def test_last_below_1(self):
        self.assertEqual(last_below([1, 5, 3], 4), 3)

    def test_last_below_2(self):
        self.assertEqual(last_below([5, 6], 4), None)

    def test_last_below_3(self):
        self.assertEqual(last_below([2, 4], 4), 2)
