def mean(values):
    """Mean rounded down, 0 without values."""
    if len(values) == 0:
        return 0
    return sum(values) // len(values)


def median(values):
    """Middle value, the lower one of two."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


def mode(values):
    """The most frequent value, the smallest of a tie."""
    return max(sorted(values), key=values.count)


def value_range(values):
    """Difference between the extremes."""
    ordered = sorted(values)
    return ordered[-1] - ordered[0]


def deviations(values):
    """Distance of each value from the mean."""
    middle = mean(values)
    return [abs(value - middle) for value in values]


def variance(values):
    middle = mean(values)
    squares = [(value - middle) ** 2 for value in values]
    return sum(squares) // len(values)


def count_between(values, low, high):
    """Values from low to high, both included."""
    return len([value for value in values if low <= value <= high])


def outliers(values, limit):
    middle = median(values)
    return [value for value in values if abs(value - middle) > limit]


def share(part, whole):
    """Part of a whole in percent, rounded to the nearest."""
    if whole == 0:
        return 0
    return (part * 100 + whole // 2) // whole


def buckets(values, width):
    """How many values fall into each bucket."""
    counts = {}
    for value in sorted(values):
        start = value // width * width
        counts[start] = counts.get(start, 0) + 1
    return counts


def trimmed(values):
    """The values without the smallest and the largest."""
    if len(values) <= 2:
        return []
    return sorted(values)[1:-1]


def sign(value):
    if value == 0:
        return 0
    return 1 if value > 0 else -1
