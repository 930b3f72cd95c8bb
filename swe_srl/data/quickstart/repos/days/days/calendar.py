def is_leap(year):
    """Tell whether a year has 366 days."""
    if year % 100 == 0:
        return year % 400 == 0
    return year % 4 == 0


def month_days(year, month):
    """Days of a month, from 28 to 31."""
    if month == 2:
        return 29 if is_leap(year) else 28
    if month in (4, 6, 9, 11):
        return 30
    return 31


def year_days(year):
    if is_leap(year):
        return 366
    return 365


def day_of_year(year, month, day):
    total = day
    for earlier in range(1, month):
        total += month_days(year, earlier)
    return total


def is_weekend(weekday):
    """Weekday 0 is Monday, 6 is Sunday."""
    return weekday >= 5


def next_weekday(weekday, steps):
    """Weekday some days later."""
    return (weekday + steps) % 7


def weekday_name(weekday):
    """Short name of a weekday, Monday is 0."""
    names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    if weekday < 0 or weekday > 6:
        return "?"
    return names[weekday]


def quarter(month):
    """Quarter of the year, 1 to 4."""
    return (month - 1) // 3 + 1


def next_month(year, month):
    if month == 12:
        return (year + 1, 1)
    return (year, month + 1)


def valid_date(year, month, day):
    if month < 1 or month > 12:
        return False
    return 1 <= day <= month_days(year, month)


def parse_date(text):
    """Year, month and day of a text such as 2024-03-09."""
    parts = text.split("-")
    if len(parts) != 3:
        return None
    return tuple(int(part) for part in parts)


def century(year):
    if year % 100 == 0:
        return year // 100
    return year // 100 + 1


def months_between(first, second):
    """Whole months from one (year, month) to another."""
    years = second[0] - first[0]
    return years * 12 + second[1] - first[1]
