def to_fahrenheit(celsius):
    """Fahrenheit of whole degrees Celsius, rounded down."""
    return celsius * 9 // 5 + 32


def to_celsius(fahrenheit):
    """Celsius of whole degrees Fahrenheit, rounded down."""
    return (fahrenheit - 32) * 5 // 9


def to_kelvin(celsius):
    """Kelvin, never below absolute zero."""
    return max(celsius + 273, 0)


def show_degrees(value, unit):
    if unit == "k":
        return f"{value} K"
    return f"{value} " + unit.upper()


def parse_degrees(text):
    """Number and unit of a text such as 20 C."""
    value, unit = text.split(" ")
    return (int(value), unit.lower())


def is_freezing(celsius):
    """Water freezes at zero and below."""
    return celsius <= 0


def water_state(celsius):
    if celsius <= 0:
        return "ice"
    if celsius >= 100:
        return "steam"
    return "water"


def feels_like(celsius, wind):
    """Strong wind makes cold days colder."""
    if celsius > 10 or wind < 5:
        return celsius
    return celsius - wind // 5


def warmer(a, b):
    """The higher of two temperatures."""
    return a if a > b else b


def degrees_between(a, b):
    """Distance of two temperatures."""
    if a > b:
        return a - b
    return b - a


def comfort(celsius):
    if 18 <= celsius <= 24:
        return "good"
    return "cold" if celsius < 18 else "warm"


def round_five(value):
    """Nearest multiple of five."""
    return (value + 2) // 5 * 5
