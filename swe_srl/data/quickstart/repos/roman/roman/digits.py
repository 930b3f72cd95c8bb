def digit_sum(number):
    """Sum of the digits of a number."""
    return sum(int(c) for c in str(number))


def digital_root(number):
    while number > 9:
        number = digit_sum(number)
    return number


def reverse_digits(number):
    """Digits from right to left, the sign stays."""
    if number < 0:
        return -reverse_digits(-number)
    return int(str(number)[::-1])


def to_binary(number):
    """Binary digits as a text."""
    text = ""
    while number > 0:
        text = str(number % 2) + text
        number = number // 2
    return text or "0"


def from_base(text, base):
    value = 0
    for c in text:
        value = value * base + int(c)
    return value


def count_digit(number, digit):
    """How often a digit is in a number."""
    return str(number).count(str(digit))


def is_even(number):
    """Even numbers leave no rest."""
    return number % 2 == 0


def ends_with_zero(number):
    """Tell whether ten divides a number."""
    return number != 0 and number % 10 == 0


def group_digits(number):
    """Text with a comma before each three digits."""
    text = str(number)
    if len(text) <= 3:
        return text
    return group_digits(number // 1000) + "," + text[-3:]


def first_digit(number):
    number = abs(number)
    while number >= 10:
        number = number // 10
    return number


def check_digit(number):
    """Digit that makes the digit sum a multiple of ten."""
    return (10 - digit_sum(number) % 10) % 10


def divisors(number):
    """All numbers that divide a number."""
    return [d for d in range(1, number + 1) if number % d == 0]


def is_prime(number):
    """Primes have two divisors."""
    if number < 2:
        return False
    return all(number % d != 0 for d in range(2, number))
