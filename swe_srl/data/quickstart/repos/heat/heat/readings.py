def hottest(readings):
    """Highest reading, None without readings."""
    if not readings:
        return None
    return max(readings)


def daily_range(readings):
    """Difference between the extremes."""
    return max(readings) - min(readings)


def average(readings):
    """Mean rounded down."""
    return sum(readings) // len(readings)


def frost_days(readings):
    """Days with a temperature below zero."""
    return len([value for value in readings if value < 0])


def hot_streak(readings, limit):
    """Longest run of days at the limit or above."""
    best = run = 0
    for value in readings:
        run = run + 1 if value >= limit else 0
        best = max(best, run)
    return best


def changes(readings):
    """Steps from reading to reading."""
    return [b - a for a, b in zip(readings, readings[1:])]


def is_rising(readings):
    """Tell whether each reading is above the one before."""
    return all(step > 0 for step in changes(readings))


def smooth(readings):
    result = []
    for i in range(len(readings) - 1):
        result.append((readings[i] + readings[i + 1]) // 2)
    return result


def first_above(readings, limit):
    """Place of the first reading above a limit, or -1."""
    for i, value in enumerate(readings):
        if value > limit:
            return i
    return -1


def valid(readings):
    """Readings that can be true."""
    return [value for value in readings if -90 < value < 60]


def trend(readings):
    if len(readings) < 2 or readings[-1] == readings[0]:
        return "flat"
    return "up" if readings[-1] > readings[0] else "down"


class Heater:
    def __init__(self, target):
        self.target = target
        self.power = 0

    def adjust(self, celsius):
        """Power rises by one when cold, else falls to zero."""
        if celsius < self.target:
            self.power += 1
        else:
            self.power = 0
        return self.power

    def missing_degrees(self, celsius):
        return max(self.target - celsius, 0)
