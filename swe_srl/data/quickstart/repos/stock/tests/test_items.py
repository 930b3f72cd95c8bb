from stock.items import *
import unittest


class TestItems(unittest.TestCase):
    def test_add_item_1(self):
        self.assertEqual(add_item({}, "nut", 3), {"nut": 3})

    def test_add_item_2(self):
        self.assertEqual(add_item({"nut": 2}, "nut", 3), {"nut": 5})

    def test_add_item_3(self):
        self.assertEqual(add_item({"nut": 1}, "bolt", 0), {"nut": 1, "bolt": 0})

    def test_take_item_1(self):
        self.assertEqual(take_item({"nut": 5}, "nut", 3), 3)

    def test_take_item_2(self):
        self.assertEqual(take_item({"nut": 2}, "nut", 3), 2)

    def test_take_item_3(self):
        self.assertEqual(take_item({}, "nut", 1), 0)

    def test_total_items_1(self):
        self.assertEqual(total_items({"nut": 2, "bolt": 3}), 5)

    def test_total_items_2(self):
        self.assertEqual(total_items({}), 0)

    def test_total_items_3(self):
        self.assertEqual(total_items({"nut": 7}), 7)

    def test_is_low_1(self):
        self.assertEqual(is_low(3, 5), True)

    def test_is_low_2(self):
        self.assertEqual(is_low(5, 5), True)

    def test_is_low_3(self):
        self.assertEqual(is_low(6, 5), False)

    def test_is_low_4(self):
        self.assertEqual(is_low(0, 0), False)

    def test_is_low_5(self):
        self.assertEqual(is_low(1, 1), True)

    def test_low_items_1(self):
        self.assertEqual(low_items({"nut": 1, "bolt": 9}, 2), ["nut"])

    def test_low_items_2(self):
        self.assertEqual(low_items({"nut": 2}, 2), ["nut"])

    def test_low_items_3(self):
        self.assertEqual(low_items({"b": 0, "a": 0}, 1), ["a", "b"])

    def test_low_items_4(self):
        self.assertEqual(low_items({}, 3), [])

    def test_missing_1(self):
        self.assertEqual(missing({"nut": 1}, ["nut", "bolt"]), ["bolt"])

    def test_missing_2(self):
        self.assertEqual(missing({"nut": 0}, ["nut"]), ["nut"])

    def test_missing_3(self):
        self.assertEqual(missing({"a": 2}, ["a"]), [])

    def test_merge_1(self):
        self.assertEqual(merge({"a": 1}, {"a": 2}), {"a": 3})

    def test_merge_2(self):
        self.assertEqual(merge({"a": 1}, {"b": 2}), {"a": 1, "b": 2})

    def test_merge_3(self):
        self.assertEqual(merge({}, {}), {})

    def test_most_common_1(self):
        self.assertEqual(most_common({"a": 1, "b": 4, "c": 2}), "b")

    def test_most_common_2(self):
        self.assertEqual(most_common({}), None)

    def test_most_common_3(self):
        self.assertEqual(most_common({"b": 3, "a": 3}), "a")

    def test_boxes_needed_1(self):
        self.assertEqual(boxes_needed(10, 5), 2)

    def test_boxes_needed_2(self):
        self.assertEqual(boxes_needed(11, 5), 3)

    def test_boxes_needed_3(self):
        self.assertEqual(boxes_needed(0, 5), 0)

    def test_boxes_needed_4(self):
        self.assertEqual(boxes_needed(1, 4), 1)

    def test_label_1(self):
        self.assertEqual(label("nut", 1), "nut")

    def test_label_2(self):
        self.assertEqual(label("nut", 3), "3 x nut")

    def test_label_3(self):
        self.assertEqual(label("nut", 0), "0 x nut")

    def test_label_4(self):
        self.assertEqual(label("bolt", 2), "2 x bolt")

    def test_parse_label_1(self):
        self.assertEqual(parse_label("3 x nut"), ("nut", 3))

    def test_parse_label_2(self):
        self.assertEqual(parse_label("nut"), ("nut", 1))

    def test_parse_label_3(self):
        self.assertEqual(parse_label("12 x big x"), ("big x", 12))

    def test_free_1(self):
        self.assertEqual(Bin(5).free(), 5)

    def test_free_2(self):
        self.assertEqual(Bin(0).free(), 0)

    def test_free_3(self):
        self.assertEqual(Bin(12).free(), 12)

    def test_put_1(self):
        self.assertEqual(Bin(5).put(3), True)

    def test_put_2(self):
        self.assertEqual(Bin(5).put(5), True)

    def test_put_3(self):
        self.assertEqual(Bin(5).put(6), False)

    def test_put_4(self):
        self.assertEqual(Bin(0).put(0), True)
