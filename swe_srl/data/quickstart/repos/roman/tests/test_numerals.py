from roman.numerals import *
import unittest


class TestNumerals(unittest.TestCase):
    def test_symbol_value_1(self):
        self.assertEqual(symbol_value("X"), 10)

    def test_symbol_value_2(self):
        self.assertEqual(symbol_value("v"), 5)

    def test_symbol_value_3(self):
        self.assertEqual(symbol_value("A"), 0)

    def test_symbol_value_4(self):
        self.assertEqual(symbol_value("C"), 100)

    def test_to_number_1(self):
        self.assertEqual(to_number("XIV"), 14)

    def test_to_number_2(self):
        self.assertEqual(to_number("VI"), 6)

    def test_to_number_3(self):
        self.assertEqual(to_number("IX"), 9)

    def test_to_number_4(self):
        self.assertEqual(to_number("III"), 3)

    def test_to_number_5(self):
        self.assertEqual(to_number("XC"), 90)

    def test_ones_digit_1(self):
        self.assertEqual(ones_digit(0), "")

    def test_ones_digit_2(self):
        self.assertEqual(ones_digit(4), "IV")

    def test_ones_digit_3(self):
        self.assertEqual(ones_digit(9), "IX")

    def test_to_numeral_1(self):
        self.assertEqual(to_numeral(14), "XIV")

    def test_to_numeral_2(self):
        self.assertEqual(to_numeral(3), "III")

    def test_to_numeral_3(self):
        self.assertEqual(to_numeral(9), "IX")

    def test_to_numeral_4(self):
        self.assertEqual(to_numeral(28), "XXVIII")

    def test_is_numeral_1(self):
        self.assertEqual(is_numeral("XIV"), True)

    def test_is_numeral_2(self):
        self.assertEqual(is_numeral(""), False)

    def test_is_numeral_3(self):
        self.assertEqual(is_numeral("XA"), False)

    def test_is_numeral_4(self):
        self.assertEqual(is_numeral("I"), True)

    def test_add_numerals_1(self):
        self.assertEqual(add_numerals("X", "IV"), "XIV")

    def test_add_numerals_2(self):
        self.assertEqual(add_numerals("I", "I"), "II")

    def test_add_numerals_3(self):
        self.assertEqual(add_numerals("VI", "VI"), "XII")

    def test_larger_numeral_1(self):
        self.assertEqual(larger_numeral("X", "IV"), "X")

    def test_larger_numeral_2(self):
        self.assertEqual(larger_numeral("I", "V"), "V")

    def test_larger_numeral_3(self):
        self.assertEqual(larger_numeral("IX", "VIII"), "IX")

    def test_tally_1(self):
        self.assertEqual(tally(7), "||||| ||")

    def test_tally_2(self):
        self.assertEqual(tally(5), "|||||")

    def test_tally_3(self):
        self.assertEqual(tally(0), "")

    def test_tally_4(self):
        self.assertEqual(tally(3), "|||")

    def test_tally_5(self):
        self.assertEqual(tally(11), "||||| ||||| |")

    def test_count_strokes_1(self):
        self.assertEqual(count_strokes("||||| ||"), 7)

    def test_count_strokes_2(self):
        self.assertEqual(count_strokes(""), 0)

    def test_count_strokes_3(self):
        self.assertEqual(count_strokes("|a|"), 2)

    def test_ordinal_1(self):
        self.assertEqual(ordinal(1), "1st")

    def test_ordinal_2(self):
        self.assertEqual(ordinal(12), "12th")

    def test_ordinal_3(self):
        self.assertEqual(ordinal(22), "22nd")

    def test_ordinal_4(self):
        self.assertEqual(ordinal(103), "103rd")

    def test_ordinal_5(self):
        self.assertEqual(ordinal(10), "10th")

    def test_small_word_1(self):
        self.assertEqual(small_word(0), "zero")

    def test_small_word_2(self):
        self.assertEqual(small_word(5), "five")

    def test_small_word_3(self):
        self.assertEqual(small_word(6), "6")

    def test_word_number_1(self):
        self.assertEqual(word_number("two"), 2)

    def test_word_number_2(self):
        self.assertEqual(word_number("six"), -1)

    def test_word_number_3(self):
        self.assertEqual(word_number("zero"), 0)
