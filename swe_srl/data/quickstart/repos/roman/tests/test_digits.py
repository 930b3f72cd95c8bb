from roman.digits import *
import unittest


class TestDigits(unittest.TestCase):
    def test_digit_sum_1(self):
        self.assertEqual(digit_sum(123), 6)

    def test_digit_sum_2(self):
        self.assertEqual(digit_sum(0), 0)

    def test_digit_sum_3(self):
        self.assertEqual(digit_sum(99), 18)

    def test_digital_root_1(self):
        self.assertEqual(digital_root(99), 9)

    def test_digital_root_2(self):
        self.assertEqual(digital_root(9), 9)

    def test_digital_root_3(self):
        self.assertEqual(digital_root(10), 1)

    def test_digital_root_4(self):
        self.assertEqual(digital_root(28), 1)

    def test_reverse_digits_1(self):
        self.assertEqual(reverse_digits(123), 321)

    def test_reverse_digits_2(self):
        self.assertEqual(reverse_digits(-45), -54)

    def test_reverse_digits_3(self):
        self.assertEqual(reverse_digits(70), 7)

    def test_reverse_digits_4(self):
        self.assertEqual(reverse_digits(0), 0)

    def test_to_binary_1(self):
        self.assertEqual(to_binary(5), "101")

    def test_to_binary_2(self):
        self.assertEqual(to_binary(0), "0")

    def test_to_binary_3(self):
        self.assertEqual(to_binary(8), "1000")

    def test_to_binary_4(self):
        self.assertEqual(to_binary(1), "1")

    def test_from_base_1(self):
        self.assertEqual(from_base("101", 2), 5)

    def test_from_base_2(self):
        self.assertEqual(from_base("21", 3), 7)

    def test_from_base_3(self):
        self.assertEqual(from_base("", 2), 0)

    def test_from_base_4(self):
        self.assertEqual(from_base("77", 8), 63)

    def test_count_digit_1(self):
        self.assertEqual(count_digit(1213, 1), 2)

    def test_count_digit_2(self):
        self.assertEqual(count_digit(55, 5), 2)

    def test_count_digit_3(self):
        self.assertEqual(count_digit(123, 9), 0)

    def test_is_even_1(self):
        self.assertEqual(is_even(4), True)

    def test_is_even_2(self):
        self.assertEqual(is_even(3), False)

    def test_is_even_3(self):
        self.assertEqual(is_even(0), True)

    def test_ends_with_zero_1(self):
        self.assertEqual(ends_with_zero(10), True)

    def test_ends_with_zero_2(self):
        self.assertEqual(ends_with_zero(0), False)

    def test_ends_with_zero_3(self):
        self.assertEqual(ends_with_zero(15), False)

    def test_ends_with_zero_4(self):
        self.assertEqual(ends_with_zero(300), True)

    def test_group_digits_1(self):
        self.assertEqual(group_digits(1234567), "1,234,567")

    def test_group_digits_2(self):
        self.assertEqual(group_digits(999), "999")

    def test_group_digits_3(self):
        self.assertEqual(group_digits(1000), "1,000")

    def test_group_digits_4(self):
        self.assertEqual(group_digits(12345), "12,345")

    def test_first_digit_1(self):
        self.assertEqual(first_digit(523), 5)

    def test_first_digit_2(self):
        self.assertEqual(first_digit(-71), 7)

    def test_first_digit_3(self):
        self.assertEqual(first_digit(9), 9)

    def test_first_digit_4(self):
        self.assertEqual(first_digit(10), 1)

    def test_check_digit_1(self):
        self.assertEqual(check_digit(123), 4)

    def test_check_digit_2(self):
        self.assertEqual(check_digit(55), 0)

    def test_check_digit_3(self):
        self.assertEqual(check_digit(7), 3)

    def test_divisors_1(self):
        self.assertEqual(divisors(6), [1, 2, 3, 6])

    def test_divisors_2(self):
        self.assertEqual(divisors(1), [1])

    def test_divisors_3(self):
        self.assertEqual(divisors(9), [1, 3, 9])

    def test_is_prime_1(self):
        self.assertEqual(is_prime(7), True)

    def test_is_prime_2(self):
        self.assertEqual(is_prime(9), False)

    def test_is_prime_3(self):
        self.assertEqual(is_prime(1), False)

    def test_is_prime_4(self):
        self.assertEqual(is_prime(2), True)
