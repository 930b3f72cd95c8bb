from colors.hexes import *
import unittest


class TestHexes(unittest.TestCase):
    def test_to_hex_1(self):
        self.assertEqual(to_hex(0), "00")

    def test_to_hex_2(self):
        self.assertEqual(to_hex(255), "ff")

    def test_to_hex_3(self):
        self.assertEqual(to_hex(16), "10")

    def test_to_hex_4(self):
        self.assertEqual(to_hex(10), "0a")

    def test_from_hex_1(self):
        self.assertEqual(from_hex("ff"), 255)

    def test_from_hex_2(self):
        self.assertEqual(from_hex("10"), 16)

    def test_from_hex_3(self):
        self.assertEqual(from_hex("0a"), 10)

    def test_show_color_1(self):
        self.assertEqual(show_color((255, 0, 16)), "#ff0010")

    def test_show_color_2(self):
        self.assertEqual(show_color((0, 0, 0)), "#000000")

    def test_show_color_3(self):
        self.assertEqual(show_color((1, 2, 3)), "#010203")

    def test_parse_color_1(self):
        self.assertEqual(parse_color("#ff0010"), (255, 0, 16))

    def test_parse_color_2(self):
        self.assertEqual(parse_color("#f0a"), (255, 0, 170))

    def test_parse_color_3(self):
        self.assertEqual(parse_color("010203"), (1, 2, 3))

    def test_is_hex_1(self):
        self.assertEqual(is_hex("#ff0010"), True)

    def test_is_hex_2(self):
        self.assertEqual(is_hex("ff00100"), False)

    def test_is_hex_3(self):
        self.assertEqual(is_hex("#ff00"), False)

    def test_is_hex_4(self):
        self.assertEqual(is_hex("#gg0000"), False)

    def test_is_hex_5(self):
        self.assertEqual(is_hex("#000000"), True)

    def test_shorten_hex_1(self):
        self.assertEqual(shorten_hex("#ffaa00"), "#fa0")

    def test_shorten_hex_2(self):
        self.assertEqual(shorten_hex("#ffaa01"), "#ffaa01")

    def test_shorten_hex_3(self):
        self.assertEqual(shorten_hex("#fbaa00"), "#fbaa00")

    def test_shorten_hex_4(self):
        self.assertEqual(shorten_hex("#ffab00"), "#ffab00")

    def test_same_color_1(self):
        self.assertEqual(same_color("#FF", "#ff"), True)

    def test_same_color_2(self):
        self.assertEqual(same_color("#fe", "#ff"), False)

    def test_same_color_3(self):
        self.assertEqual(same_color("Red", "rED"), True)

    def test_named_1(self):
        self.assertEqual(named("black"), (0, 0, 0))

    def test_named_2(self):
        self.assertEqual(named("White"), (255, 255, 255))

    def test_named_3(self):
        self.assertEqual(named("mud"), None)

    def test_steps_1(self):
        self.assertEqual(steps(0, 10, 5), [0, 2, 4, 6, 8, 10])

    def test_steps_2(self):
        self.assertEqual(steps(5, 5, 1), [5, 5])

    def test_steps_3(self):
        self.assertEqual(steps(10, 0, 2), [10, 5, 0])

    def test_hue_between_1(self):
        self.assertEqual(hue_between(20, 10, 30), True)

    def test_hue_between_2(self):
        self.assertEqual(hue_between(350, 340, 20), True)

    def test_hue_between_3(self):
        self.assertEqual(hue_between(30, 340, 20), False)

    def test_hue_between_4(self):
        self.assertEqual(hue_between(10, 10, 10), True)

    def test_hue_between_5(self):
        self.assertEqual(hue_between(20, 340, 20), True)

    def test_turn_hue_1(self):
        self.assertEqual(turn_hue(350, 20), 10)

    def test_turn_hue_2(self):
        self.assertEqual(turn_hue(10, 20), 30)

    def test_turn_hue_3(self):
        self.assertEqual(turn_hue(0, 360), 0)

    def test_opacity_1(self):
        self.assertEqual(opacity(100), 255)

    def test_opacity_2(self):
        self.assertEqual(opacity(0), 0)

    def test_opacity_3(self):
        self.assertEqual(opacity(50), 127)

    def test_opacity_4(self):
        self.assertEqual(opacity(-5), 0)
