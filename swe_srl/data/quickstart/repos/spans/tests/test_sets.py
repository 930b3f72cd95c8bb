from spans.sets import *
import unittest


class TestSets(unittest.TestCase):
    def test_merge_spans_1(self):
        self.assertEqual(merge_spans([(0, 2), (1, 4)]), [(0, 4)])

    def test_merge_spans_2(self):
        self.assertEqual(merge_spans([(0, 2), (2, 4)]), [(0, 4)])

    def test_merge_spans_3(self):
        self.assertEqual(merge_spans([(5, 6), (0, 2)]), [(0, 2), (5, 6)])

    def test_merge_spans_4(self):
        self.assertEqual(merge_spans([(0, 9), (2, 3)]), [(0, 9)])

    def test_total_length_1(self):
        self.assertEqual(total_length([(0, 2), (5, 6)]), 3)

    def test_total_length_2(self):
        self.assertEqual(total_length([]), 0)

    def test_total_length_3(self):
        self.assertEqual(total_length([(3, 3)]), 0)

    def test_gaps_between_1(self):
        self.assertEqual(gaps_between([(0, 2), (5, 6)]), [(2, 5)])

    def test_gaps_between_2(self):
        self.assertEqual(gaps_between([(0, 2), (2, 4)]), [])

    def test_gaps_between_3(self):
        self.assertEqual(gaps_between([(0, 1), (2, 3), (7, 8)]), [(1, 2), (3, 7)])

    def test_count_at_1(self):
        self.assertEqual(count_at([(0, 5), (3, 9)], 4), 2)

    def test_count_at_2(self):
        self.assertEqual(count_at([(0, 5)], 5), 0)

    def test_count_at_3(self):
        self.assertEqual(count_at([(0, 5)], 0), 1)

    def test_longest_span_1(self):
        self.assertEqual(longest_span([(0, 2), (5, 9)]), (5, 9))

    def test_longest_span_2(self):
        self.assertEqual(longest_span([]), None)

    def test_longest_span_3(self):
        self.assertEqual(longest_span([(0, 2), (4, 6)]), (0, 2))

    def test_from_numbers_1(self):
        self.assertEqual(from_numbers([3, 1]), [(1, 2), (3, 4)])

    def test_from_numbers_2(self):
        self.assertEqual(from_numbers([]), [])

    def test_from_numbers_3(self):
        self.assertEqual(from_numbers([7]), [(7, 8)])

    def test_show_span_1(self):
        self.assertEqual(show_span((3, 6)), "3-5")

    def test_show_span_2(self):
        self.assertEqual(show_span((3, 4)), "3")

    def test_show_span_3(self):
        self.assertEqual(show_span((0, 2)), "0-1")

    def test_parse_span_1(self):
        self.assertEqual(parse_span("3-5"), (3, 6))

    def test_parse_span_2(self):
        self.assertEqual(parse_span("7"), (7, 8))

    def test_parse_span_3(self):
        self.assertEqual(parse_span("0-0"), (0, 1))

    def test_first_free_1(self):
        self.assertEqual(first_free([0, 1, 3]), 2)

    def test_first_free_2(self):
        self.assertEqual(first_free([]), 0)

    def test_first_free_3(self):
        self.assertEqual(first_free([1]), 0)

    def test_is_sorted_1(self):
        self.assertEqual(is_sorted([(0, 2), (1, 3)]), True)

    def test_is_sorted_2(self):
        self.assertEqual(is_sorted([(3, 4), (1, 2)]), False)

    def test_is_sorted_3(self):
        self.assertEqual(is_sorted([]), True)

    def test_is_sorted_4(self):
        self.assertEqual(is_sorted([(1, 2), (1, 9)]), True)

    def test_clip_spans_1(self):
        self.assertEqual(clip_spans([(0, 9)], 2, 5), [(2, 5)])

    def test_clip_spans_2(self):
        self.assertEqual(clip_spans([(0, 2), (5, 6)], 2, 6), [(5, 6)])

    def test_clip_spans_3(self):
        self.assertEqual(clip_spans([(3, 4)], 0, 9), [(3, 4)])

    def test_forward_1(self):
        self.assertEqual(Counter(0, 5).forward(3), 3)

    def test_forward_2(self):
        self.assertEqual(Counter(0, 5).forward(9), 5)

    def test_forward_3(self):
        self.assertEqual(Counter(2, 5).forward(0), 2)

    def test_room_1(self):
        self.assertEqual(Counter(0, 5).room(), 5)

    def test_room_2(self):
        self.assertEqual(Counter(5, 5).room(), 0)

    def test_room_3(self):
        self.assertEqual(Counter(2, 9).room(), 7)
