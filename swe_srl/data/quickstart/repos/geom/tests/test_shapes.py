from geom.shapes import *
import unittest


class TestShapes(unittest.TestCase):
    def test_area_1(self):
        self.assertEqual(area(3, 4), 12)

    def test_area_2(self):
        self.assertEqual(area(-1, 4), 0)

    def test_area_3(self):
        self.assertEqual(area(0, 5), 0)

    def test_area_4(self):
        self.assertEqual(area(2, -2), 0)

    def test_perimeter_1(self):
        self.assertEqual(perimeter(3, 4), 14)

    def test_perimeter_2(self):
        self.assertEqual(perimeter(1, 1), 4)

    def test_perimeter_3(self):
        self.assertEqual(perimeter(0, 5), 10)

    def test_is_square_1(self):
        self.assertEqual(is_square(2, 2), True)

    def test_is_square_2(self):
        self.assertEqual(is_square(0, 0), False)

    def test_is_square_3(self):
        self.assertEqual(is_square(2, 3), False)

    def test_is_square_4(self):
        self.assertEqual(is_square(1, 1), True)

    def test_triangle_kind_1(self):
        self.assertEqual(triangle_kind(2, 2, 2), "equal")

    def test_triangle_kind_2(self):
        self.assertEqual(triangle_kind(2, 2, 3), "isosceles")

    def test_triangle_kind_3(self):
        self.assertEqual(triangle_kind(3, 4, 4), "isosceles")

    def test_triangle_kind_4(self):
        self.assertEqual(triangle_kind(3, 4, 5), "scalene")

    def test_triangle_kind_5(self):
        self.assertEqual(triangle_kind(5, 4, 5), "isosceles")

    def test_is_triangle_1(self):
        self.assertEqual(is_triangle(3, 4, 5), True)

    def test_is_triangle_2(self):
        self.assertEqual(is_triangle(1, 2, 3), False)

    def test_is_triangle_3(self):
        self.assertEqual(is_triangle(9, 2, 3), False)

    def test_is_triangle_4(self):
        self.assertEqual(is_triangle(2, 2, 2), True)

    def test_fits_inside_1(self):
        self.assertEqual(fits_inside((2, 3), (4, 3)), True)

    def test_fits_inside_2(self):
        self.assertEqual(fits_inside((5, 1), (4, 4)), False)

    def test_fits_inside_3(self):
        self.assertEqual(fits_inside((3, 3), (3, 3)), True)

    def test_fits_inside_4(self):
        self.assertEqual(fits_inside((2, 3), (1, 9)), False)

    def test_fits_inside_5(self):
        self.assertEqual(fits_inside((4, 2), (2, 4)), True)

    def test_diagonal_squared_1(self):
        self.assertEqual(diagonal_squared(3, 4), 25)

    def test_diagonal_squared_2(self):
        self.assertEqual(diagonal_squared(1, 1), 2)

    def test_diagonal_squared_3(self):
        self.assertEqual(diagonal_squared(0, 5), 25)

    def test_box_volume_1(self):
        self.assertEqual(box_volume(2, 3, 4), 24)

    def test_box_volume_2(self):
        self.assertEqual(box_volume(-2, 3, 4), 24)

    def test_box_volume_3(self):
        self.assertEqual(box_volume(0, 3, 4), 0)

    def test_box_volume_4(self):
        self.assertEqual(box_volume(1, 1, 5), 5)

    def test_tile_count_1(self):
        self.assertEqual(tile_count(10, 5), 2)

    def test_tile_count_2(self):
        self.assertEqual(tile_count(11, 5), 3)

    def test_tile_count_3(self):
        self.assertEqual(tile_count(3, 5), 1)

    def test_tile_count_4(self):
        self.assertEqual(tile_count(9, 4), 3)

    def test_polygon_angles_1(self):
        self.assertEqual(polygon_angles(3), 180)

    def test_polygon_angles_2(self):
        self.assertEqual(polygon_angles(4), 360)

    def test_polygon_angles_3(self):
        self.assertEqual(polygon_angles(2), 0)

    def test_polygon_angles_4(self):
        self.assertEqual(polygon_angles(6), 720)

    def test_shrink_1(self):
        self.assertEqual(shrink(10, 2), 6)

    def test_shrink_2(self):
        self.assertEqual(shrink(3, 2), 0)

    def test_shrink_3(self):
        self.assertEqual(shrink(5, 0), 5)

    def test_shrink_4(self):
        self.assertEqual(shrink(7, 3), 1)

    def test_right_1(self):
        self.assertEqual(Box(2, 0, 3, 1).right(), 5)

    def test_right_2(self):
        self.assertEqual(Box(0, 5, 4, 1).right(), 4)

    def test_right_3(self):
        self.assertEqual(Box(-1, 0, 1, 2).right(), 0)

    def test_holds_1(self):
        self.assertEqual(Box(0, 0, 2, 2).holds(1, 1), True)

    def test_holds_2(self):
        self.assertEqual(Box(0, 0, 2, 2).holds(2, 1), False)

    def test_holds_3(self):
        self.assertEqual(Box(1, 1, 2, 2).holds(1, 1), True)

    def test_holds_4(self):
        self.assertEqual(Box(1, 1, 2, 2).holds(2, 3), False)

    def test_holds_5(self):
        self.assertEqual(Box(1, 1, 4, 4).holds(0, 2), False)

    def test_grown_1(self):
        self.assertEqual(Box(0, 0, 2, 3).grown(1), [4, 5])

    def test_grown_2(self):
        self.assertEqual(Box(0, 0, 1, 1).grown(0), [1, 1])

    def test_grown_3(self):
        self.assertEqual(Box(4, 4, 5, 2).grown(2), [9, 6])
