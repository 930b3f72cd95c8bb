from lexer.scan import *
import unittest


class TestScan(unittest.TestCase):
    def test_split_fields_1(self):
        self.assertEqual(split_fields("a, b", ","), ["a", "b"])

    def test_split_fields_2(self):
        self.assertEqual(split_fields("x", ","), ["x"])

    def test_split_fields_3(self):
        self.assertEqual(split_fields(" a ;b", ";"), ["a", "b"])

    def test_is_number_1(self):
        self.assertEqual(is_number("12"), True)

    def test_is_number_2(self):
        self.assertEqual(is_number("-12"), True)

    def test_is_number_3(self):
        self.assertEqual(is_number("1a"), False)

    def test_is_number_4(self):
        self.assertEqual(is_number(""), False)

    def test_is_number_5(self):
        self.assertEqual(is_number("--1"), False)

    def test_is_name_1(self):
        self.assertEqual(is_name("ab_1"), True)

    def test_is_name_2(self):
        self.assertEqual(is_name("1ab"), False)

    def test_is_name_3(self):
        self.assertEqual(is_name(""), False)

    def test_is_name_4(self):
        self.assertEqual(is_name("a-b"), False)

    def test_kind_of_1(self):
        self.assertEqual(kind_of("12"), "number")

    def test_kind_of_2(self):
        self.assertEqual(kind_of("ab"), "word")

    def test_kind_of_3(self):
        self.assertEqual(kind_of("+"), "mark")

    def test_kind_of_4(self):
        self.assertEqual(kind_of("a1"), "mark")

    def test_read_digits_1(self):
        self.assertEqual(read_digits("ab12c", 2), "12")

    def test_read_digits_2(self):
        self.assertEqual(read_digits("123", 1), "23")

    def test_read_digits_3(self):
        self.assertEqual(read_digits("abc", 0), "")

    def test_read_digits_4(self):
        self.assertEqual(read_digits("9", 0), "9")

    def test_skip_blanks_1(self):
        self.assertEqual(skip_blanks("  a", 0), 2)

    def test_skip_blanks_2(self):
        self.assertEqual(skip_blanks("a b", 1), 2)

    def test_skip_blanks_3(self):
        self.assertEqual(skip_blanks("   ", 0), 3)

    def test_skip_blanks_4(self):
        self.assertEqual(skip_blanks("ab", 0), 0)

    def test_strip_comment_1(self):
        self.assertEqual(strip_comment("a # b"), "a")

    def test_strip_comment_2(self):
        self.assertEqual(strip_comment("ab"), "ab")

    def test_strip_comment_3(self):
        self.assertEqual(strip_comment("# x"), "")

    def test_unquote_1(self):
        self.assertEqual(unquote("|ab|", "|"), "ab")

    def test_unquote_2(self):
        self.assertEqual(unquote("ab", "|"), "ab")

    def test_unquote_3(self):
        self.assertEqual(unquote("|", "|"), "|")

    def test_unquote_4(self):
        self.assertEqual(unquote("|a", "|"), "|a")

    def test_unquote_5(self):
        self.assertEqual(unquote("||", "|"), "")

    def test_escape_1(self):
        self.assertEqual(escape("a/b"), "a//b")

    def test_escape_2(self):
        self.assertEqual(escape("ab"), "ab")

    def test_escape_3(self):
        self.assertEqual(escape("//"), "////")

    def test_count_lines_1(self):
        self.assertEqual(count_lines("a/b/c"), 3)

    def test_count_lines_2(self):
        self.assertEqual(count_lines("a/ /b"), 2)

    def test_count_lines_3(self):
        self.assertEqual(count_lines(""), 0)

    def test_indent_of_1(self):
        self.assertEqual(indent_of("  ab"), 2)

    def test_indent_of_2(self):
        self.assertEqual(indent_of("ab "), 0)

    def test_indent_of_3(self):
        self.assertEqual(indent_of("    x"), 4)

    def test_join_tokens_1(self):
        self.assertEqual(join_tokens(["a", ",", "b"]), "a, b")

    def test_join_tokens_2(self):
        self.assertEqual(join_tokens(["a", "b"]), "a b")

    def test_join_tokens_3(self):
        self.assertEqual(join_tokens([]), "")
