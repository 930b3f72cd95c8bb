from lexer.brackets import *
import unittest


class TestBrackets(unittest.TestCase):
    def test_depth_1(self):
        self.assertEqual(depth("(())"), 2)

    def test_depth_2(self):
        self.assertEqual(depth("()()"), 1)

    def test_depth_3(self):
        self.assertEqual(depth(""), 0)

    def test_depth_4(self):
        self.assertEqual(depth("a(b)"), 1)

    def test_balanced_1(self):
        self.assertEqual(balanced("(())"), True)

    def test_balanced_2(self):
        self.assertEqual(balanced("())("), False)

    def test_balanced_3(self):
        self.assertEqual(balanced("("), False)

    def test_balanced_4(self):
        self.assertEqual(balanced(""), True)

    def test_closing_1(self):
        self.assertEqual(closing("("), ")")

    def test_closing_2(self):
        self.assertEqual(closing("["), "]")

    def test_closing_3(self):
        self.assertEqual(closing("x"), "")

    def test_closing_4(self):
        self.assertEqual(closing("{"), "}")

    def test_matches_1(self):
        self.assertEqual(matches("(", ")"), True)

    def test_matches_2(self):
        self.assertEqual(matches("(", "]"), False)

    def test_matches_3(self):
        self.assertEqual(matches("[", "]"), True)

    def test_inside_1(self):
        self.assertEqual(inside("f(a)"), "a")

    def test_inside_2(self):
        self.assertEqual(inside("((b))"), "(b)")

    def test_inside_3(self):
        self.assertEqual(inside("abc"), "")

    def test_inside_4(self):
        self.assertEqual(inside(")("), "")

    def test_wrap_1(self):
        self.assertEqual(wrap("a", 1), "(a)")

    def test_wrap_2(self):
        self.assertEqual(wrap("a", 2), "((a))")

    def test_wrap_3(self):
        self.assertEqual(wrap("a", 0), "a")

    def test_unwrap_1(self):
        self.assertEqual(unwrap("(a)"), "a")

    def test_unwrap_2(self):
        self.assertEqual(unwrap("a)"), "a)")

    def test_unwrap_3(self):
        self.assertEqual(unwrap("(a"), "(a")

    def test_unwrap_4(self):
        self.assertEqual(unwrap("((b))"), "(b)")

    def test_count_pairs_1(self):
        self.assertEqual(count_pairs("()("), 1)

    def test_count_pairs_2(self):
        self.assertEqual(count_pairs("(())"), 2)

    def test_count_pairs_3(self):
        self.assertEqual(count_pairs("))("), 1)

    def test_count_pairs_4(self):
        self.assertEqual(count_pairs(""), 0)

    def test_parse_pair_1(self):
        self.assertEqual(parse_pair("a=1"), ("a", "1"))

    def test_parse_pair_2(self):
        self.assertEqual(parse_pair("a"), ("a", ""))

    def test_parse_pair_3(self):
        self.assertEqual(parse_pair("k = v=w"), ("k", "v=w"))

    def test_parse_pairs_1(self):
        self.assertEqual(parse_pairs("a=1;b=2"), {"a": "1", "b": "2"})

    def test_parse_pairs_2(self):
        self.assertEqual(parse_pairs(""), {})

    def test_parse_pairs_3(self):
        self.assertEqual(parse_pairs("x=y;"), {"x": "y"})

    def test_flag_name_1(self):
        self.assertEqual(flag_name("--All"), "all")

    def test_flag_name_2(self):
        self.assertEqual(flag_name("-a"), "")

    def test_flag_name_3(self):
        self.assertEqual(flag_name("--x"), "x")

    def test_find_close_1(self):
        self.assertEqual(find_close("a)b)", 2), 3)

    def test_find_close_2(self):
        self.assertEqual(find_close("a)", 0), 1)

    def test_find_close_3(self):
        self.assertEqual(find_close("abc", 0), 3)
