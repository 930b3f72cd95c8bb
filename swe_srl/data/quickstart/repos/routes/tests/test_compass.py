from routes.compass import *
import unittest


class TestCompass(unittest.TestCase):
    def test_turn_right_1(self):
        self.assertEqual(turn_right(0), 90)

    def test_turn_right_2(self):
        self.assertEqual(turn_right(270), 0)

    def test_turn_right_3(self):
        self.assertEqual(turn_right(300), 30)

    def test_turn_left_1(self):
        self.assertEqual(turn_left(90), 0)

    def test_turn_left_2(self):
        self.assertEqual(turn_left(0), 270)

    def test_turn_left_3(self):
        self.assertEqual(turn_left(45), 315)

    def test_direction_1(self):
        self.assertEqual(direction(0), "N")

    def test_direction_2(self):
        self.assertEqual(direction(90), "E")

    def test_direction_3(self):
        self.assertEqual(direction(359), "N")

    def test_direction_4(self):
        self.assertEqual(direction(44), "N")

    def test_direction_5(self):
        self.assertEqual(direction(45), "E")

    def test_opposite_1(self):
        self.assertEqual(opposite("N"), "S")

    def test_opposite_2(self):
        self.assertEqual(opposite("E"), "W")

    def test_opposite_3(self):
        self.assertEqual(opposite("x"), "x")

    def test_opposite_4(self):
        self.assertEqual(opposite("S"), "N")

    def test_step_forward_1(self):
        self.assertEqual(step_forward(0, 0, "N"), (0, 1))

    def test_step_forward_2(self):
        self.assertEqual(step_forward(0, 0, "S"), (0, -1))

    def test_step_forward_3(self):
        self.assertEqual(step_forward(2, 3, "E"), (3, 3))

    def test_step_forward_4(self):
        self.assertEqual(step_forward(2, 3, "W"), (1, 3))

    def test_walk_1(self):
        self.assertEqual(walk("NNE"), (1, 2))

    def test_walk_2(self):
        self.assertEqual(walk("WS"), (-1, -1))

    def test_walk_3(self):
        self.assertEqual(walk(""), (0, 0))

    def test_walk_4(self):
        self.assertEqual(walk("EEWNSS"), (1, -1))

    def test_is_home_1(self):
        self.assertEqual(is_home("NS"), True)

    def test_is_home_2(self):
        self.assertEqual(is_home("N"), False)

    def test_is_home_3(self):
        self.assertEqual(is_home("EWSN"), True)

    def test_is_home_4(self):
        self.assertEqual(is_home(""), True)

    def test_angle_between_1(self):
        self.assertEqual(angle_between(10, 350), 20)

    def test_angle_between_2(self):
        self.assertEqual(angle_between(0, 90), 90)

    def test_angle_between_3(self):
        self.assertEqual(angle_between(200, 20), 180)

    def test_angle_between_4(self):
        self.assertEqual(angle_between(30, 30), 0)

    def test_blocks_1(self):
        self.assertEqual(blocks((0, 0), (3, 4)), 7)

    def test_blocks_2(self):
        self.assertEqual(blocks((5, 1), (2, 2)), 4)

    def test_blocks_3(self):
        self.assertEqual(blocks((1, 1), (1, 1)), 0)

    def test_furthest_east_1(self):
        self.assertEqual(furthest_east([(1, 9), (5, 0)]), (5, 0))

    def test_furthest_east_2(self):
        self.assertEqual(furthest_east([]), None)

    def test_furthest_east_3(self):
        self.assertEqual(furthest_east([(2, 1), (2, 5)]), (2, 1))

    def test_say_turn_1(self):
        self.assertEqual(say_turn(0, 0), "straight")

    def test_say_turn_2(self):
        self.assertEqual(say_turn(0, 90), "right")

    def test_say_turn_3(self):
        self.assertEqual(say_turn(0, 270), "left")

    def test_say_turn_4(self):
        self.assertEqual(say_turn(90, 270), "back")

    def test_say_turn_5(self):
        self.assertEqual(say_turn(300, 20), "right")

    def test_shorten_walk_1(self):
        self.assertEqual(shorten_walk("NNS"), "N")

    def test_shorten_walk_2(self):
        self.assertEqual(shorten_walk("EW"), "")

    def test_shorten_walk_3(self):
        self.assertEqual(shorten_walk("WNWS"), "WW")

    def test_shorten_walk_4(self):
        self.assertEqual(shorten_walk("SEE"), "EES")
