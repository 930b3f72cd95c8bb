def vowels(text):
    """Number of vowels in a text."""
    return sum(1 for letter in text.lower() if letter in "aeiou")


def word_count(text):
    """Number of words, parted by blanks."""
    return len(text.split())


def longest(words):
    best = ""
    for word in words:
        if len(word) > len(best):
            best = word
    return best


def shortest_length(words):
    """Length of the shortest word, 0 without words."""
    if not words:
        return 0
    return min(len(word) for word in words)


def letter_counts(text):
    counts = {}
    for letter in text:
        counts[letter] = counts.get(letter, 0) + 1
    return counts


def count_upper(text):
    total = 0
    for letter in text:
        if letter.isupper():
            total += 1
    return total


def is_palindrome(text):
    """Tell whether a text reads the same backwards."""
    letters = [c for c in text.lower() if c.isalpha()]
    return letters == letters[::-1]


def common_prefix(a, b):
    size = 0
    while size < min(len(a), len(b)) and a[size] == b[size]:
        size += 1
    return a[:size]


def hamming(a, b):
    """Places where two texts differ, -1 for other lengths."""
    if len(a) != len(b):
        return -1
    return sum(1 for x, y in zip(a, b) if x != y)


def first_repeat(text):
    seen = []
    for letter in text:
        if letter in seen:
            return letter
        seen.append(letter)
    return ""


def runs(text):
    """Number of runs of equal letters."""
    count = 0
    for i in range(len(text)):
        if i == 0 or text[i] != text[i - 1]:
            count += 1
    return count


def has_digits(text, amount):
    digits = [c for c in text if c.isdigit()]
    return len(digits) >= amount
