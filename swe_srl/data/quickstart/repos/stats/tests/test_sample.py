from stats.sample import *
import unittest


class TestSample(unittest.TestCase):
    def test_mean_1(self):
        self.assertEqual(mean([1, 2, 3]), 2)

    def test_mean_2(self):
        self.assertEqual(mean([]), 0)

    def test_mean_3(self):
        self.assertEqual(mean([5, 6]), 5)

    def test_median_1(self):
        self.assertEqual(median([3, 1, 2]), 2)

    def test_median_2(self):
        self.assertEqual(median([4, 1, 3, 2]), 2)

    def test_median_3(self):
        self.assertEqual(median([7]), 7)

    def test_mode_1(self):
        self.assertEqual(mode([1, 2, 2]), 2)

    def test_mode_2(self):
        self.assertEqual(mode([3, 1, 3, 1]), 1)

    def test_mode_3(self):
        self.assertEqual(mode([5]), 5)

    def test_value_range_1(self):
        self.assertEqual(value_range([3, 9, 5]), 6)

    def test_value_range_2(self):
        self.assertEqual(value_range([4]), 0)

    def test_value_range_3(self):
        self.assertEqual(value_range([-2, 2]), 4)

    def test_deviations_1(self):
        self.assertEqual(deviations([1, 2, 3]), [1, 0, 1])

    def test_deviations_2(self):
        self.assertEqual(deviations([4, 4]), [0, 0])

    def test_deviations_3(self):
        self.assertEqual(deviations([0, 10]), [5, 5])

    def test_variance_1(self):
        self.assertEqual(variance([1, 3]), 1)

    def test_variance_2(self):
        self.assertEqual(variance([4, 4]), 0)

    def test_variance_3(self):
        self.assertEqual(variance([0, 10]), 25)

    def test_count_between_1(self):
        self.assertEqual(count_between([1, 5, 9], 1, 5), 2)

    def test_count_between_2(self):
        self.assertEqual(count_between([], 0, 9), 0)

    def test_count_between_3(self):
        self.assertEqual(count_between([0, 10], 1, 9), 0)

    def test_count_between_4(self):
        self.assertEqual(count_between([2, 3], 0, 9), 2)

    def test_outliers_1(self):
        self.assertEqual(outliers([1, 2, 9], 2), [9])

    def test_outliers_2(self):
        self.assertEqual(outliers([1, 2, 4], 2), [])

    def test_outliers_3(self):
        self.assertEqual(outliers([5], 0), [])

    def test_share_1(self):
        self.assertEqual(share(1, 4), 25)

    def test_share_2(self):
        self.assertEqual(share(2, 3), 67)

    def test_share_3(self):
        self.assertEqual(share(5, 0), 0)

    def test_share_4(self):
        self.assertEqual(share(1, 3), 33)

    def test_buckets_1(self):
        self.assertEqual(buckets([1, 2, 11], 10), {0: 2, 10: 1})

    def test_buckets_2(self):
        self.assertEqual(buckets([], 5), {})

    def test_buckets_3(self):
        self.assertEqual(buckets([5, 4, 9], 5), {0: 1, 5: 2})

    def test_trimmed_1(self):
        self.assertEqual(trimmed([3, 1, 2]), [2])

    def test_trimmed_2(self):
        self.assertEqual(trimmed([1, 2]), [])

    def test_trimmed_3(self):
        self.assertEqual(trimmed([4, 4, 1, 9]), [4, 4])

    def test_sign_1(self):
        self.assertEqual(sign(5), 1)

    def test_sign_2(self):
        self.assertEqual(sign(0), 0)

    def test_sign_3(self):
        self.assertEqual(sign(-3), -1)
