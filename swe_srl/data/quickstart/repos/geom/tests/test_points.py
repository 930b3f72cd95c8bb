from geom.points import *
import unittest


class TestPoints(unittest.TestCase):
    def test_add_points_1(self):
        self.assertEqual(add_points((1, 2), (3, 4)), (4, 6))

    def test_add_points_2(self):
        self.assertEqual(add_points((0, 0), (5, -1)), (5, -1))

    def test_add_points_3(self):
        self.assertEqual(add_points((2, 2), (-2, 1)), (0, 3))

    def test_sub_points_1(self):
        self.assertEqual(sub_points((5, 7), (2, 3)), (3, 4))

    def test_sub_points_2(self):
        self.assertEqual(sub_points((0, 0), (1, -1)), (-1, 1))

    def test_sub_points_3(self):
        self.assertEqual(sub_points((4, 1), (4, 3)), (0, -2))

    def test_scale_1(self):
        self.assertEqual(scale((2, 3), 4), (8, 12))

    def test_scale_2(self):
        self.assertEqual(scale((1, -1), 2), (2, -2))

    def test_scale_3(self):
        self.assertEqual(scale((5, 7), 0), (0, 0))

    def test_manhattan_1(self):
        self.assertEqual(manhattan((0, 0), (3, 4)), 7)

    def test_manhattan_2(self):
        self.assertEqual(manhattan((2, 5), (1, 1)), 5)

    def test_manhattan_3(self):
        self.assertEqual(manhattan((1, 1), (1, 1)), 0)

    def test_chebyshev_1(self):
        self.assertEqual(chebyshev((0, 0), (3, 4)), 4)

    def test_chebyshev_2(self):
        self.assertEqual(chebyshev((5, 1), (0, 2)), 5)

    def test_chebyshev_3(self):
        self.assertEqual(chebyshev((1, 1), (1, 1)), 0)

    def test_midpoint_1(self):
        self.assertEqual(midpoint((0, 0), (4, 6)), (2, 3))

    def test_midpoint_2(self):
        self.assertEqual(midpoint((1, 1), (2, 4)), (1, 2))

    def test_midpoint_3(self):
        self.assertEqual(midpoint((3, 5), (3, 5)), (3, 5))

    def test_quadrant_1(self):
        self.assertEqual(quadrant(1, 1), 1)

    def test_quadrant_2(self):
        self.assertEqual(quadrant(-1, 2), 2)

    def test_quadrant_3(self):
        self.assertEqual(quadrant(-3, -1), 3)

    def test_quadrant_4(self):
        self.assertEqual(quadrant(2, -2), 4)

    def test_quadrant_5(self):
        self.assertEqual(quadrant(0, 3), 0)

    def test_same_row_1(self):
        self.assertEqual(same_row([(1, 2), (3, 2)]), True)

    def test_same_row_2(self):
        self.assertEqual(same_row([(1, 2), (1, 3)]), False)

    def test_same_row_3(self):
        self.assertEqual(same_row([(0, 0)]), True)

    def test_bounds_1(self):
        self.assertEqual(bounds([(1, 5), (3, 2)]), (1, 2, 3, 5))

    def test_bounds_2(self):
        self.assertEqual(bounds([(0, 0)]), (0, 0, 0, 0))

    def test_bounds_3(self):
        self.assertEqual(bounds([(4, 1), (2, 8), (3, 3)]), (2, 1, 4, 8))

    def test_rotate_1(self):
        self.assertEqual(rotate((1, 0), 1), (0, 1))

    def test_rotate_2(self):
        self.assertEqual(rotate((2, 3), 2), (-2, -3))

    def test_rotate_3(self):
        self.assertEqual(rotate((2, 3), 4), (2, 3))

    def test_rotate_4(self):
        self.assertEqual(rotate((1, 2), 5), (-2, 1))

    def test_path_length_1(self):
        self.assertEqual(path_length([(0, 0), (0, 3), (2, 3)]), 5)

    def test_path_length_2(self):
        self.assertEqual(path_length([(1, 1)]), 0)

    def test_path_length_3(self):
        self.assertEqual(path_length([(0, 0), (1, 1), (0, 0)]), 4)

    def test_farthest_1(self):
        self.assertEqual(farthest([(1, 1), (0, 5), (2, 2)]), (0, 5))

    def test_farthest_2(self):
        self.assertEqual(farthest([(3, 0), (0, 3)]), (3, 0))

    def test_farthest_3(self):
        self.assertEqual(farthest([(2, 2)]), (2, 2))
