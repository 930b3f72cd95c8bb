from heat.units import *
import unittest


class TestUnits(unittest.TestCase):
    def test_to_fahrenheit_1(self):
        self.assertEqual(to_fahrenheit(0), 32)

    def test_to_fahrenheit_2(self):
        self.assertEqual(to_fahrenheit(100), 212)

    def test_to_fahrenheit_3(self):
        self.assertEqual(to_fahrenheit(-40), -40)

    def test_to_fahrenheit_4(self):
        self.assertEqual(to_fahrenheit(7), 44)

    def test_to_celsius_1(self):
        self.assertEqual(to_celsius(32), 0)

    def test_to_celsius_2(self):
        self.assertEqual(to_celsius(212), 100)

    def test_to_celsius_3(self):
        self.assertEqual(to_celsius(50), 10)

    def test_to_kelvin_1(self):
        self.assertEqual(to_kelvin(0), 273)

    def test_to_kelvin_2(self):
        self.assertEqual(to_kelvin(-273), 0)

    def test_to_kelvin_3(self):
        self.assertEqual(to_kelvin(-300), 0)

    def test_to_kelvin_4(self):
        self.assertEqual(to_kelvin(27), 300)

    def test_show_degrees_1(self):
        self.assertEqual(show_degrees(20, "c"), "20 C")

    def test_show_degrees_2(self):
        self.assertEqual(show_degrees(300, "k"), "300 K")

    def test_show_degrees_3(self):
        self.assertEqual(show_degrees(5, "f"), "5 F")

    def test_parse_degrees_1(self):
        self.assertEqual(parse_degrees("20 C"), (20, "c"))

    def test_parse_degrees_2(self):
        self.assertEqual(parse_degrees("-5 F"), (-5, "f"))

    def test_parse_degrees_3(self):
        self.assertEqual(parse_degrees("300 k"), (300, "k"))

    def test_is_freezing_1(self):
        self.assertEqual(is_freezing(0), True)

    def test_is_freezing_2(self):
        self.assertEqual(is_freezing(1), False)

    def test_is_freezing_3(self):
        self.assertEqual(is_freezing(-5), True)

    def test_water_state_1(self):
        self.assertEqual(water_state(0), "ice")

    def test_water_state_2(self):
        self.assertEqual(water_state(1), "water")

    def test_water_state_3(self):
        self.assertEqual(water_state(100), "steam")

    def test_water_state_4(self):
        self.assertEqual(water_state(99), "water")

    def test_feels_like_1(self):
        self.assertEqual(feels_like(5, 10), 3)

    def test_feels_like_2(self):
        self.assertEqual(feels_like(11, 20), 11)

    def test_feels_like_3(self):
        self.assertEqual(feels_like(10, 5), 9)

    def test_feels_like_4(self):
        self.assertEqual(feels_like(0, 4), 0)

    def test_warmer_1(self):
        self.assertEqual(warmer(3, 5), 5)

    def test_warmer_2(self):
        self.assertEqual(warmer(9, 2), 9)

    def test_warmer_3(self):
        self.assertEqual(warmer(-1, -4), -1)

    def test_degrees_between_1(self):
        self.assertEqual(degrees_between(3, 5), 2)

    def test_degrees_between_2(self):
        self.assertEqual(degrees_between(9, 2), 7)

    def test_degrees_between_3(self):
        self.assertEqual(degrees_between(-1, 1), 2)

    def test_comfort_1(self):
        self.assertEqual(comfort(18), "good")

    def test_comfort_2(self):
        self.assertEqual(comfort(24), "good")

    def test_comfort_3(self):
        self.assertEqual(comfort(17), "cold")

    def test_comfort_4(self):
        self.assertEqual(comfort(25), "warm")

    def test_round_five_1(self):
        self.assertEqual(round_five(12), 10)

    def test_round_five_2(self):
        self.assertEqual(round_five(13), 15)

    def test_round_five_3(self):
        self.assertEqual(round_five(20), 20)

    def test_round_five_4(self):
        self.assertEqual(round_five(4), 5)
