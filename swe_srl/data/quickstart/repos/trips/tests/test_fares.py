from trips.fares import *
import unittest


class TestFares(unittest.TestCase):
    def test_base_fare_1(self):
        self.assertEqual(base_fare(1), 2)

    def test_base_fare_2(self):
        self.assertEqual(base_fare(3), 4)

    def test_base_fare_3(self):
        self.assertEqual(base_fare(0), 0)

    def test_base_fare_4(self):
        self.assertEqual(base_fare(-1), 0)

    def test_age_fare_1(self):
        self.assertEqual(age_fare(10, 5), 0)

    def test_age_fare_2(self):
        self.assertEqual(age_fare(10, 6), 5)

    def test_age_fare_3(self):
        self.assertEqual(age_fare(10, 16), 10)

    def test_age_fare_4(self):
        self.assertEqual(age_fare(10, 65), 5)

    def test_age_fare_5(self):
        self.assertEqual(age_fare(10, 15), 5)

    def test_group_fare_1(self):
        self.assertEqual(group_fare(3, 4), 12)

    def test_group_fare_2(self):
        self.assertEqual(group_fare(3, 5), 12)

    def test_group_fare_3(self):
        self.assertEqual(group_fare(3, 1), 3)

    def test_day_ticket_1(self):
        self.assertEqual(day_ticket([3, 4], 8), 7)

    def test_day_ticket_2(self):
        self.assertEqual(day_ticket([3, 4, 5], 8), 8)

    def test_day_ticket_3(self):
        self.assertEqual(day_ticket([], 8), 0)

    def test_is_peak_1(self):
        self.assertEqual(is_peak(7, 0), True)

    def test_is_peak_2(self):
        self.assertEqual(is_peak(9, 0), False)

    def test_is_peak_3(self):
        self.assertEqual(is_peak(8, 5), False)

    def test_is_peak_4(self):
        self.assertEqual(is_peak(8, 4), True)

    def test_is_peak_5(self):
        self.assertEqual(is_peak(6, 2), False)

    def test_peak_fare_1(self):
        self.assertEqual(peak_fare(10, True), 15)

    def test_peak_fare_2(self):
        self.assertEqual(peak_fare(10, False), 10)

    def test_peak_fare_3(self):
        self.assertEqual(peak_fare(5, True), 7)

    def test_zones_between_1(self):
        self.assertEqual(zones_between(1, 4), 4)

    def test_zones_between_2(self):
        self.assertEqual(zones_between(4, 1), 4)

    def test_zones_between_3(self):
        self.assertEqual(zones_between(2, 2), 1)

    def test_refund_1(self):
        self.assertEqual(refund(10, 24), 10)

    def test_refund_2(self):
        self.assertEqual(refund(10, 23), 5)

    def test_refund_3(self):
        self.assertEqual(refund(10, 1), 5)

    def test_refund_4(self):
        self.assertEqual(refund(10, 0), 0)

    def test_valid_ticket_1(self):
        self.assertEqual(valid_ticket(100, 60, 160), True)

    def test_valid_ticket_2(self):
        self.assertEqual(valid_ticket(100, 60, 161), False)

    def test_valid_ticket_3(self):
        self.assertEqual(valid_ticket(100, 60, 100), True)

    def test_valid_ticket_4(self):
        self.assertEqual(valid_ticket(100, 60, 99), False)

    def test_cheapest_1(self):
        self.assertEqual(cheapest({"a": 5, "b": 3}), "b")

    def test_cheapest_2(self):
        self.assertEqual(cheapest({"b": 5, "a": 5}), "a")

    def test_cheapest_3(self):
        self.assertEqual(cheapest({}), None)

    def test_points_for_1(self):
        self.assertEqual(points_for(100, True), 20)

    def test_points_for_2(self):
        self.assertEqual(points_for(100, False), 10)

    def test_points_for_3(self):
        self.assertEqual(points_for(19, True), 2)

    def test_ticket_code_1(self):
        self.assertEqual(ticket_code("bern", "rome"), "BE-RO")

    def test_ticket_code_2(self):
        self.assertEqual(ticket_code("Ulm", "Oslo"), "UL-OS")

    def test_ticket_code_3(self):
        self.assertEqual(ticket_code("a", "b"), "A-B")
