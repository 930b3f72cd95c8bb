from days.clock import *
import unittest


class TestClock(unittest.TestCase):
    def test_to_minutes_1(self):
        self.assertEqual(to_minutes(1, 30), 90)

    def test_to_minutes_2(self):
        self.assertEqual(to_minutes(0, 5), 5)

    def test_to_minutes_3(self):
        self.assertEqual(to_minutes(23, 59), 1439)

    def test_from_minutes_1(self):
        self.assertEqual(from_minutes(90), (1, 30))

    def test_from_minutes_2(self):
        self.assertEqual(from_minutes(1440), (0, 0))

    def test_from_minutes_3(self):
        self.assertEqual(from_minutes(1505), (1, 5))

    def test_from_minutes_4(self):
        self.assertEqual(from_minutes(59), (0, 59))

    def test_show_1(self):
        self.assertEqual(show(8, 5), "08:05")

    def test_show_2(self):
        self.assertEqual(show(12, 30), "12:30")

    def test_show_3(self):
        self.assertEqual(show(0, 0), "00:00")

    def test_parse_time_1(self):
        self.assertEqual(parse_time("08:30"), 510)

    def test_parse_time_2(self):
        self.assertEqual(parse_time("00:00"), 0)

    def test_parse_time_3(self):
        self.assertEqual(parse_time("23:59"), 1439)

    def test_is_morning_1(self):
        self.assertEqual(is_morning(6), True)

    def test_is_morning_2(self):
        self.assertEqual(is_morning(12), False)

    def test_is_morning_3(self):
        self.assertEqual(is_morning(5), False)

    def test_is_morning_4(self):
        self.assertEqual(is_morning(11), True)

    def test_day_part_1(self):
        self.assertEqual(day_part(5), "night")

    def test_day_part_2(self):
        self.assertEqual(day_part(6), "morning")

    def test_day_part_3(self):
        self.assertEqual(day_part(12), "afternoon")

    def test_day_part_4(self):
        self.assertEqual(day_part(18), "evening")

    def test_day_part_5(self):
        self.assertEqual(day_part(22), "night")

    def test_half_day_1(self):
        self.assertEqual(half_day(0), "12 am")

    def test_half_day_2(self):
        self.assertEqual(half_day(12), "12 pm")

    def test_half_day_3(self):
        self.assertEqual(half_day(15), "3 pm")

    def test_half_day_4(self):
        self.assertEqual(half_day(11), "11 am")

    def test_duration_1(self):
        self.assertEqual(duration(60, 90), 30)

    def test_duration_2(self):
        self.assertEqual(duration(1430, 10), 20)

    def test_duration_3(self):
        self.assertEqual(duration(30, 30), 0)

    def test_overlap_1(self):
        self.assertEqual(overlap((0, 10), (5, 20)), 5)

    def test_overlap_2(self):
        self.assertEqual(overlap((0, 5), (5, 9)), 0)

    def test_overlap_3(self):
        self.assertEqual(overlap((0, 4), (6, 9)), 0)

    def test_overlap_4(self):
        self.assertEqual(overlap((3, 8), (0, 20)), 5)

    def test_round_up_1(self):
        self.assertEqual(round_up(7, 5), 10)

    def test_round_up_2(self):
        self.assertEqual(round_up(10, 5), 10)

    def test_round_up_3(self):
        self.assertEqual(round_up(61, 15), 75)

    def test_round_up_4(self):
        self.assertEqual(round_up(0, 5), 0)

    def test_tick_1(self):
        self.assertEqual(Timer(10).tick(3), 7)

    def test_tick_2(self):
        self.assertEqual(Timer(2).tick(5), 0)

    def test_tick_3(self):
        self.assertEqual(Timer(4).tick(0), 4)

    def test_is_done_1(self):
        self.assertEqual(Timer(0).is_done(0), True)

    def test_is_done_2(self):
        self.assertEqual(Timer(5).is_done(4), False)

    def test_is_done_3(self):
        self.assertEqual(Timer(3).is_done(5), True)
