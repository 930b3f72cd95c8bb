def symbol_value(symbol):
    """Worth of one Roman letter, 0 for others."""
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
    return values.get(symbol.upper(), 0)


def to_number(text):
    """Value of a numeral such as XIV."""
    total = last = 0
    for symbol in reversed(text):
        value = symbol_value(symbol)
        total += value if value >= last else -value
        last = max(last, value)
    return total


def ones_digit(digit):
    names = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]
    return names[digit]


def to_numeral(number):
    """Numeral of a number, at least 1."""
    text = ""
    for value, part in [(10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]:
        while number >= value:
            text += part
            number -= value
    return text


def is_numeral(text):
    """Tell whether only Roman letters are there."""
    return len(text) > 0 and all(c in "IVXLC" for c in text)


def add_numerals(a, b):
    """Sum of two numerals as a numeral."""
    return to_numeral(to_number(a) + to_number(b))


def larger_numeral(a, b):
    if to_number(a) >= to_number(b):
        return a
    return b


def tally(number):
    """Strokes in groups of five."""
    groups = ["|||||"] * (number // 5)
    if number % 5 > 0:
        groups.append("|" * (number % 5))
    return " ".join(groups)


def count_strokes(text):
    """Number of a tally."""
    return text.count("|")


def ordinal(number):
    """Text such as 1st, 2nd, 3rd, 4th."""
    if 10 <= number % 100 <= 20:
        return f"{number}th"
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return str(number) + ending


def small_word(number):
    words = ["zero", "one", "two", "three", "four", "five"]
    if number >= len(words):
        return str(number)
    return words[number]


def word_number(word):
    """Number of a word, -1 when it is not known."""
    words = ["zero", "one", "two", "three", "four", "five"]
    if word not in words:
        return -1
    return words.index(word)
