from words.change import *
import unittest


class TestChange(unittest.TestCase):
    def test_capital_1(self):
        self.assertEqual(capital("hELLO"), "Hello")

    def test_capital_2(self):
        self.assertEqual(capital(""), "")

    def test_capital_3(self):
        self.assertEqual(capital("a"), "A")

    def test_capital_4(self):
        self.assertEqual(capital("ab"), "Ab")

    def test_shout_1(self):
        self.assertEqual(shout("hey"), "HEY!")

    def test_shout_2(self):
        self.assertEqual(shout("hey!"), "HEY!")

    def test_shout_3(self):
        self.assertEqual(shout(""), "!")

    def test_shorten_1(self):
        self.assertEqual(shorten("hello", 5), "hello")

    def test_shorten_2(self):
        self.assertEqual(shorten("hello", 4), "hel.")

    def test_shorten_3(self):
        self.assertEqual(shorten("hi", 9), "hi")

    def test_shorten_4(self):
        self.assertEqual(shorten("abc", 2), "a.")

    def test_center_1(self):
        self.assertEqual(center("ab", 6), "  ab  ")

    def test_center_2(self):
        self.assertEqual(center("ab", 5), " ab  ")

    def test_center_3(self):
        self.assertEqual(center("abc", 3), "abc")

    def test_center_4(self):
        self.assertEqual(center("abc", 1), "abc")

    def test_center_5(self):
        self.assertEqual(center("a", 2), "a ")

    def test_pad_left_1(self):
        self.assertEqual(pad_left("7", 3, "0"), "007")

    def test_pad_left_2(self):
        self.assertEqual(pad_left("abc", 3, "x"), "abc")

    def test_pad_left_3(self):
        self.assertEqual(pad_left("abcd", 2, "x"), "abcd")

    def test_pad_left_4(self):
        self.assertEqual(pad_left("b", 2, "a"), "ab")

    def test_drop_prefix_1(self):
        self.assertEqual(drop_prefix("unhappy", "un"), "happy")

    def test_drop_prefix_2(self):
        self.assertEqual(drop_prefix("happy", "un"), "happy")

    def test_drop_prefix_3(self):
        self.assertEqual(drop_prefix("pup", "p"), "up")

    def test_drop_prefix_4(self):
        self.assertEqual(drop_prefix("abc", ""), "abc")

    def test_drop_suffix_1(self):
        self.assertEqual(drop_suffix("jumped", "ed"), "jump")

    def test_drop_suffix_2(self):
        self.assertEqual(drop_suffix("edge", "ed"), "edge")

    def test_drop_suffix_3(self):
        self.assertEqual(drop_suffix("abc", ""), "abc")

    def test_drop_suffix_4(self):
        self.assertEqual(drop_suffix("noon", "n"), "noo")

    def test_swap_ends_1(self):
        self.assertEqual(swap_ends("word"), "dorw")

    def test_swap_ends_2(self):
        self.assertEqual(swap_ends("ab"), "ba")

    def test_swap_ends_3(self):
        self.assertEqual(swap_ends("a"), "a")

    def test_swap_ends_4(self):
        self.assertEqual(swap_ends("abc"), "cba")

    def test_repeat_1(self):
        self.assertEqual(repeat("ho", 3, " "), "ho ho ho")

    def test_repeat_2(self):
        self.assertEqual(repeat("a", 1, "-"), "a")

    def test_repeat_3(self):
        self.assertEqual(repeat("ab", 2, ""), "abab")

    def test_repeat_4(self):
        self.assertEqual(repeat("a", 0, "-"), "")

    def test_plural_1(self):
        self.assertEqual(plural("cat", 1), "cat")

    def test_plural_2(self):
        self.assertEqual(plural("cat", 2), "cats")

    def test_plural_3(self):
        self.assertEqual(plural("bus", 2), "buses")

    def test_plural_4(self):
        self.assertEqual(plural("bus", 1), "bus")

    def test_plural_5(self):
        self.assertEqual(plural("cat", 0), "cats")

    def test_snake_1(self):
        self.assertEqual(snake("Hello World"), "hello_world")

    def test_snake_2(self):
        self.assertEqual(snake("one"), "one")

    def test_snake_3(self):
        self.assertEqual(snake("A  b C"), "a_b_c")

    def test_initials_1(self):
        self.assertEqual(initials("ada lovelace"), "AL")

    def test_initials_2(self):
        self.assertEqual(initials("Alan M Turing"), "AMT")

    def test_initials_3(self):
        self.assertEqual(initials(""), "")
