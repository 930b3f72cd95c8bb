from words.count import *
import unittest


class TestCount(unittest.TestCase):
    def test_vowels_1(self):
        self.assertEqual(vowels("banana"), 3)

    def test_vowels_2(self):
        self.assertEqual(vowels("XYZ"), 0)

    def test_vowels_3(self):
        self.assertEqual(vowels("Audio"), 4)

    def test_word_count_1(self):
        self.assertEqual(word_count("one two three"), 3)

    def test_word_count_2(self):
        self.assertEqual(word_count(""), 0)

    def test_word_count_3(self):
        self.assertEqual(word_count("  one  "), 1)

    def test_longest_1(self):
        self.assertEqual(longest(["a", "abc", "ab"]), "abc")

    def test_longest_2(self):
        self.assertEqual(longest(["ab", "cd"]), "ab")

    def test_longest_3(self):
        self.assertEqual(longest([]), "")

    def test_shortest_length_1(self):
        self.assertEqual(shortest_length(["abc", "a", "ab"]), 1)

    def test_shortest_length_2(self):
        self.assertEqual(shortest_length([]), 0)

    def test_shortest_length_3(self):
        self.assertEqual(shortest_length(["four"]), 4)

    def test_letter_counts_1(self):
        self.assertEqual(letter_counts("aab"), {"a": 2, "b": 1})

    def test_letter_counts_2(self):
        self.assertEqual(letter_counts(""), {})

    def test_letter_counts_3(self):
        self.assertEqual(letter_counts("abc"), {"a": 1, "b": 1, "c": 1})

    def test_count_upper_1(self):
        self.assertEqual(count_upper("Hello World"), 2)

    def test_count_upper_2(self):
        self.assertEqual(count_upper("abc"), 0)

    def test_count_upper_3(self):
        self.assertEqual(count_upper("ABC"), 3)

    def test_is_palindrome_1(self):
        self.assertEqual(is_palindrome("Level"), True)

    def test_is_palindrome_2(self):
        self.assertEqual(is_palindrome("ab"), False)

    def test_is_palindrome_3(self):
        self.assertEqual(is_palindrome("a b a!"), True)

    def test_is_palindrome_4(self):
        self.assertEqual(is_palindrome(""), True)

    def test_common_prefix_1(self):
        self.assertEqual(common_prefix("flow", "flag"), "fl")

    def test_common_prefix_2(self):
        self.assertEqual(common_prefix("abc", "abc"), "abc")

    def test_common_prefix_3(self):
        self.assertEqual(common_prefix("ab", "xy"), "")

    def test_common_prefix_4(self):
        self.assertEqual(common_prefix("ab", "abcd"), "ab")

    def test_hamming_1(self):
        self.assertEqual(hamming("cat", "car"), 1)

    def test_hamming_2(self):
        self.assertEqual(hamming("abc", "abc"), 0)

    def test_hamming_3(self):
        self.assertEqual(hamming("ab", "abc"), -1)

    def test_hamming_4(self):
        self.assertEqual(hamming("aa", "bb"), 2)

    def test_first_repeat_1(self):
        self.assertEqual(first_repeat("abcb"), "b")

    def test_first_repeat_2(self):
        self.assertEqual(first_repeat("abc"), "")

    def test_first_repeat_3(self):
        self.assertEqual(first_repeat("abba"), "b")

    def test_runs_1(self):
        self.assertEqual(runs("aabba"), 3)

    def test_runs_2(self):
        self.assertEqual(runs(""), 0)

    def test_runs_3(self):
        self.assertEqual(runs("aaa"), 1)

    def test_runs_4(self):
        self.assertEqual(runs("ab"), 2)

    def test_has_digits_1(self):
        self.assertEqual(has_digits("a1b2", 2), True)

    def test_has_digits_2(self):
        self.assertEqual(has_digits("a1", 2), False)

    def test_has_digits_3(self):
        self.assertEqual(has_digits("", 0), True)

    def test_has_digits_4(self):
        self.assertEqual(has_digits("123", 2), True)
