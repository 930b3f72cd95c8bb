from colors.mix import *
import unittest


class TestMix(unittest.TestCase):
    def test_clip_1(self):
        self.assertEqual(clip(-1), 0)

    def test_clip_2(self):
        self.assertEqual(clip(256), 255)

    def test_clip_3(self):
        self.assertEqual(clip(255), 255)

    def test_clip_4(self):
        self.assertEqual(clip(7), 7)

    def test_invert_1(self):
        self.assertEqual(invert((0, 255, 100)), (255, 0, 155))

    def test_invert_2(self):
        self.assertEqual(invert((255, 255, 255)), (0, 0, 0))

    def test_invert_3(self):
        self.assertEqual(invert((1, 2, 3)), (254, 253, 252))

    def test_blend_1(self):
        self.assertEqual(blend((0, 0, 0), (10, 20, 30)), (5, 10, 15))

    def test_blend_2(self):
        self.assertEqual(blend((4, 4, 4), (4, 4, 4)), (4, 4, 4))

    def test_blend_3(self):
        self.assertEqual(blend((255, 0, 1), (0, 1, 0)), (127, 0, 0))

    def test_lighten_1(self):
        self.assertEqual(lighten((10, 20, 30), 5), (15, 25, 35))

    def test_lighten_2(self):
        self.assertEqual(lighten((250, 0, 0), 10), (255, 10, 10))

    def test_lighten_3(self):
        self.assertEqual(lighten((1, 2, 3), 0), (1, 2, 3))

    def test_darken_1(self):
        self.assertEqual(darken((10, 20, 30), 5), (5, 15, 25))

    def test_darken_2(self):
        self.assertEqual(darken((5, 0, 9), 6), (0, 0, 3))

    def test_darken_3(self):
        self.assertEqual(darken((255, 1, 1), 1), (254, 0, 0))

    def test_brightness_1(self):
        self.assertEqual(brightness((10, 20, 30)), 20)

    def test_brightness_2(self):
        self.assertEqual(brightness((0, 0, 0)), 0)

    def test_brightness_3(self):
        self.assertEqual(brightness((255, 0, 1)), 85)

    def test_is_dark_1(self):
        self.assertEqual(is_dark((127, 127, 127)), True)

    def test_is_dark_2(self):
        self.assertEqual(is_dark((128, 128, 128)), False)

    def test_is_dark_3(self):
        self.assertEqual(is_dark((0, 0, 0)), True)

    def test_is_dark_4(self):
        self.assertEqual(is_dark((255, 255, 255)), False)

    def test_is_gray_1(self):
        self.assertEqual(is_gray((5, 5, 5)), True)

    def test_is_gray_2(self):
        self.assertEqual(is_gray((5, 5, 6)), False)

    def test_is_gray_3(self):
        self.assertEqual(is_gray((4, 5, 5)), False)

    def test_is_gray_4(self):
        self.assertEqual(is_gray((7, 8, 7)), False)

    def test_strongest_1(self):
        self.assertEqual(strongest((9, 1, 1)), "red")

    def test_strongest_2(self):
        self.assertEqual(strongest((1, 9, 2)), "green")

    def test_strongest_3(self):
        self.assertEqual(strongest((0, 0, 5)), "blue")

    def test_strongest_4(self):
        self.assertEqual(strongest((3, 3, 3)), "red")

    def test_color_distance_1(self):
        self.assertEqual(color_distance((0, 0, 0), (1, 2, 3)), 6)

    def test_color_distance_2(self):
        self.assertEqual(color_distance((5, 5, 5), (5, 5, 5)), 0)

    def test_color_distance_3(self):
        self.assertEqual(color_distance((9, 0, 2), (4, 1, 2)), 6)

    def test_closest_1(self):
        self.assertEqual(closest((1, 1, 1), [(9, 9, 9), (0, 0, 0)]), (0, 0, 0))

    def test_closest_2(self):
        self.assertEqual(closest((5, 0, 0), [(4, 0, 0), (6, 0, 0)]), (4, 0, 0))

    def test_closest_3(self):
        self.assertEqual(closest((2, 2, 2), [(0, 0, 0), (2, 2, 1)]), (2, 2, 1))

    def test_text_color_1(self):
        self.assertEqual(text_color((0, 0, 0)), "white")

    def test_text_color_2(self):
        self.assertEqual(text_color((200, 200, 200)), "black")

    def test_text_color_3(self):
        self.assertEqual(text_color((128, 128, 128)), "black")
