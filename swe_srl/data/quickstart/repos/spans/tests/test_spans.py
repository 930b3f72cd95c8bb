from spans.spans import *
import unittest


class TestSpans(unittest.TestCase):
    def test_length_1(self):
        self.assertEqual(length((2, 5)), 3)

    def test_length_2(self):
        self.assertEqual(length((5, 2)), 0)

    def test_length_3(self):
        self.assertEqual(length((3, 3)), 0)

    def test_contains_1(self):
        self.assertEqual(contains((2, 5), 2), True)

    def test_contains_2(self):
        self.assertEqual(contains((2, 5), 5), False)

    def test_contains_3(self):
        self.assertEqual(contains((2, 5), 1), False)

    def test_contains_4(self):
        self.assertEqual(contains((2, 5), 4), True)

    def test_overlaps_1(self):
        self.assertEqual(overlaps((0, 5), (4, 9)), True)

    def test_overlaps_2(self):
        self.assertEqual(overlaps((0, 5), (5, 9)), False)

    def test_overlaps_3(self):
        self.assertEqual(overlaps((6, 9), (0, 6)), False)

    def test_overlaps_4(self):
        self.assertEqual(overlaps((2, 3), (0, 9)), True)

    def test_intersection_1(self):
        self.assertEqual(intersection((0, 5), (3, 9)), (3, 5))

    def test_intersection_2(self):
        self.assertEqual(intersection((0, 5), (5, 9)), None)

    def test_intersection_3(self):
        self.assertEqual(intersection((1, 8), (2, 4)), (2, 4))

    def test_hull_1(self):
        self.assertEqual(hull((0, 2), (5, 6)), (0, 6))

    def test_hull_2(self):
        self.assertEqual(hull((3, 9), (1, 4)), (1, 9))

    def test_hull_3(self):
        self.assertEqual(hull((2, 3), (2, 3)), (2, 3))

    def test_gap_1(self):
        self.assertEqual(gap((0, 2), (5, 6)), 3)

    def test_gap_2(self):
        self.assertEqual(gap((5, 6), (0, 2)), 3)

    def test_gap_3(self):
        self.assertEqual(gap((0, 5), (3, 9)), 0)

    def test_gap_4(self):
        self.assertEqual(gap((0, 2), (2, 4)), 0)

    def test_shift_1(self):
        self.assertEqual(shift((1, 3), 2), (3, 5))

    def test_shift_2(self):
        self.assertEqual(shift((1, 3), -2), (-1, 1))

    def test_shift_3(self):
        self.assertEqual(shift((0, 0), 5), (5, 5))

    def test_widen_1(self):
        self.assertEqual(widen((2, 4), 1), (1, 5))

    def test_widen_2(self):
        self.assertEqual(widen((2, 4), -1), (3, 3))

    def test_widen_3(self):
        self.assertEqual(widen((2, 4), -2), (2, 2))

    def test_widen_4(self):
        self.assertEqual(widen((0, 9), 3), (-3, 12))

    def test_touches_1(self):
        self.assertEqual(touches((0, 2), (2, 4)), True)

    def test_touches_2(self):
        self.assertEqual(touches((2, 4), (0, 2)), True)

    def test_touches_3(self):
        self.assertEqual(touches((0, 2), (3, 4)), False)

    def test_touches_4(self):
        self.assertEqual(touches((0, 3), (2, 5)), False)

    def test_covers_1(self):
        self.assertEqual(covers((0, 9), (0, 9)), True)

    def test_covers_2(self):
        self.assertEqual(covers((0, 9), (3, 10)), False)

    def test_covers_3(self):
        self.assertEqual(covers((1, 9), (0, 5)), False)

    def test_covers_4(self):
        self.assertEqual(covers((0, 9), (2, 3)), True)

    def test_center_1(self):
        self.assertEqual(center((0, 4)), 2)

    def test_center_2(self):
        self.assertEqual(center((1, 4)), 2)

    def test_center_3(self):
        self.assertEqual(center((3, 3)), 3)

    def test_halves_1(self):
        self.assertEqual(halves((0, 4)), [(0, 2), (2, 4)])

    def test_halves_2(self):
        self.assertEqual(halves((1, 4)), [(1, 2), (2, 4)])

    def test_halves_3(self):
        self.assertEqual(halves((2, 2)), [(2, 2), (2, 2)])
