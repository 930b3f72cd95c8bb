from coins.prices import *
import unittest


class TestPrices(unittest.TestCase):
    def test_to_cents_1(self):
        self.assertEqual(to_cents(3, 5), 305)

    def test_to_cents_2(self):
        self.assertEqual(to_cents(0, 99), 99)

    def test_to_cents_3(self):
        self.assertEqual(to_cents(12, 0), 1200)

    def test_show_price_1(self):
        self.assertEqual(show_price(305), "3.05")

    def test_show_price_2(self):
        self.assertEqual(show_price(99), "0.99")

    def test_show_price_3(self):
        self.assertEqual(show_price(1200), "12.00")

    def test_add_tax_1(self):
        self.assertEqual(add_tax(100, 20), 120)

    def test_add_tax_2(self):
        self.assertEqual(add_tax(99, 10), 108)

    def test_add_tax_3(self):
        self.assertEqual(add_tax(50, 0), 50)

    def test_reduced_1(self):
        self.assertEqual(reduced(200, 25), 150)

    def test_reduced_2(self):
        self.assertEqual(reduced(200, 100), 0)

    def test_reduced_3(self):
        self.assertEqual(reduced(99, 10), 90)

    def test_reduced_4(self):
        self.assertEqual(reduced(80, 120), 0)

    def test_cheaper_1(self):
        self.assertEqual(cheaper(5, 3), 3)

    def test_cheaper_2(self):
        self.assertEqual(cheaper(0, 3), 3)

    def test_cheaper_3(self):
        self.assertEqual(cheaper(4, 0), 4)

    def test_cheaper_4(self):
        self.assertEqual(cheaper(2, 2), 2)

    def test_in_budget_1(self):
        self.assertEqual(in_budget([5, 5], 10), True)

    def test_in_budget_2(self):
        self.assertEqual(in_budget([5, 6], 10), False)

    def test_in_budget_3(self):
        self.assertEqual(in_budget([], 0), True)

    def test_in_budget_4(self):
        self.assertEqual(in_budget([3, 1], 10), True)

    def test_unit_price_1(self):
        self.assertEqual(unit_price(100, 4), 25)

    def test_unit_price_2(self):
        self.assertEqual(unit_price(100, 0), 0)

    def test_unit_price_3(self):
        self.assertEqual(unit_price(10, 3), 3)

    def test_buyable_1(self):
        self.assertEqual(buyable({"pen": 5, "cup": 9}, 5), ["pen"])

    def test_buyable_2(self):
        self.assertEqual(buyable({"b": 1, "a": 2}, 3), ["a", "b"])

    def test_buyable_3(self):
        self.assertEqual(buyable({"cup": 9}, 8), [])

    def test_round_price_1(self):
        self.assertEqual(round_price(102, 5), 100)

    def test_round_price_2(self):
        self.assertEqual(round_price(103, 5), 105)

    def test_round_price_3(self):
        self.assertEqual(round_price(100, 10), 100)

    def test_round_price_4(self):
        self.assertEqual(round_price(95, 10), 100)

    def test_price_range_1(self):
        self.assertEqual(price_range([5, 9, 2]), 7)

    def test_price_range_2(self):
        self.assertEqual(price_range([]), 0)

    def test_price_range_3(self):
        self.assertEqual(price_range([4]), 0)

    def test_price_level_1(self):
        self.assertEqual(price_level(999), "low")

    def test_price_level_2(self):
        self.assertEqual(price_level(1000), "middle")

    def test_price_level_3(self):
        self.assertEqual(price_level(4999), "middle")

    def test_price_level_4(self):
        self.assertEqual(price_level(5000), "high")

    def test_ends_in_nine_1(self):
        self.assertEqual(ends_in_nine(199), True)

    def test_ends_in_nine_2(self):
        self.assertEqual(ends_in_nine(195), True)

    def test_ends_in_nine_3(self):
        self.assertEqual(ends_in_nine(910), False)

    def test_ends_in_nine_4(self):
        self.assertEqual(ends_in_nine(955), False)
