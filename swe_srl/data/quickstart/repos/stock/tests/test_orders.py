from stock.orders import *
import unittest


class TestOrders(unittest.TestCase):
    def test_order_total_1(self):
        self.assertEqual(order_total([(2, 5), (1, 3)]), 13)

    def test_order_total_2(self):
        self.assertEqual(order_total([]), 0)

    def test_order_total_3(self):
        self.assertEqual(order_total([(3, 4)]), 12)

    def test_discount_1(self):
        self.assertEqual(discount(200, 10), 20)

    def test_discount_2(self):
        self.assertEqual(discount(200, 0), 0)

    def test_discount_3(self):
        self.assertEqual(discount(50, 100), 50)

    def test_discount_4(self):
        self.assertEqual(discount(50, 101), 0)

    def test_discount_5(self):
        self.assertEqual(discount(99, -5), 0)

    def test_bulk_price_1(self):
        self.assertEqual(bulk_price(10, 1), 10)

    def test_bulk_price_2(self):
        self.assertEqual(bulk_price(10, 10), 90)

    def test_bulk_price_3(self):
        self.assertEqual(bulk_price(10, 9), 90)

    def test_bulk_price_4(self):
        self.assertEqual(bulk_price(1, 100), 80)

    def test_bulk_price_5(self):
        self.assertEqual(bulk_price(10, 99), 891)

    def test_shipping_1(self):
        self.assertEqual(shipping(50, 50), 0)

    def test_shipping_2(self):
        self.assertEqual(shipping(49, 50), 5)

    def test_shipping_3(self):
        self.assertEqual(shipping(80, 50), 0)

    def test_shipping_4(self):
        self.assertEqual(shipping(0, 1), 5)

    def test_can_ship_1(self):
        self.assertEqual(can_ship({"a": 2}, {"a": 2}), True)

    def test_can_ship_2(self):
        self.assertEqual(can_ship({"a": 3}, {"a": 2}), False)

    def test_can_ship_3(self):
        self.assertEqual(can_ship({"b": 1}, {"a": 5}), False)

    def test_can_ship_4(self):
        self.assertEqual(can_ship({}, {}), True)

    def test_can_ship_5(self):
        self.assertEqual(can_ship({"a": 1}, {"a": 5}), True)

    def test_split_order_1(self):
        self.assertEqual(split_order(10, 4), [4, 4, 2])

    def test_split_order_2(self):
        self.assertEqual(split_order(8, 4), [4, 4])

    def test_split_order_3(self):
        self.assertEqual(split_order(3, 4), [3])

    def test_split_order_4(self):
        self.assertEqual(split_order(0, 4), [])

    def test_order_code_1(self):
        self.assertEqual(order_code(12, 2024), "2024-0012")

    def test_order_code_2(self):
        self.assertEqual(order_code(3456, 2023), "2023-3456")

    def test_order_code_3(self):
        self.assertEqual(order_code(0, 2025), "2025-0000")

    def test_order_number_1(self):
        self.assertEqual(order_number("2024-0012"), 12)

    def test_order_number_2(self):
        self.assertEqual(order_number("2023-3456"), 3456)

    def test_order_number_3(self):
        self.assertEqual(order_number("2025-0000"), 0)

    def test_is_open_1(self):
        self.assertEqual(is_open("new"), True)

    def test_is_open_2(self):
        self.assertEqual(is_open("paid"), False)

    def test_is_open_3(self):
        self.assertEqual(is_open("sent"), False)

    def test_next_state_1(self):
        self.assertEqual(next_state("new"), "packed")

    def test_next_state_2(self):
        self.assertEqual(next_state("packed"), "sent")

    def test_next_state_3(self):
        self.assertEqual(next_state("sent"), "sent")

    def test_next_state_4(self):
        self.assertEqual(next_state("lost"), "lost")

    def test_backlog_1(self):
        self.assertEqual(backlog(["a", "b", "c"], ["b"]), 2)

    def test_backlog_2(self):
        self.assertEqual(backlog([], ["b"]), 0)

    def test_backlog_3(self):
        self.assertEqual(backlog(["a"], []), 1)

    def test_newest_1(self):
        self.assertEqual(newest(["2024-1", "2025-1"]), "2025-1")

    def test_newest_2(self):
        self.assertEqual(newest([]), "")

    def test_newest_3(self):
        self.assertEqual(newest(["2023-9"]), "2023-9")
