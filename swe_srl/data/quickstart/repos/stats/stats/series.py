def running_sum(values):
    """Sums of the first values, one after the other."""
    total, result = 0, []
    for value in values:
        total += value
        result.append(total)
    return result


def differences(values):
    """Steps from value to value."""
    result = []
    for i in range(1, len(values)):
        result.append(values[i] - values[i - 1])
    return result


def moving_max(values, width):
    """Largest value of each window."""
    last = len(values) - width + 1
    return [max(values[i:i + width]) for i in range(last)]


def longest_rise(values):
    """Length of the longest run of growing values."""
    best = run = 1 if values else 0
    for before, after in zip(values, values[1:]):
        run = run + 1 if after > before else 1
        best = max(best, run)
    return best


def peak(values):
    """Place of the first largest value, or -1."""
    if not values:
        return -1
    return values.index(max(values))


def turning_points(values):
    steps = differences(values)
    return sum(1 for a, b in zip(steps, steps[1:]) if a * b < 0)


def is_constant(values):
    """Tell whether all values are equal."""
    return min(values) == max(values)


def sample_every(values, step):
    """Every second or third value and so on."""
    return values[step - 1::step]


def pad_series(values, size, fill):
    """At least `size` values, filled at the end."""
    lacking = size - len(values)
    if lacking <= 0:
        return values
    return values + [fill] * lacking


def growth(before, after):
    """Change in percent, rounded down."""
    if before == 0:
        return 0
    return (after - before) * 100 // before


def crossings(values, level):
    """How often a series rises to a level from below."""
    pairs = zip(values, values[1:])
    return len([1 for a, b in pairs if a < level <= b])


def last_below(values, limit):
    """Last value below a limit, or None."""
    found = [value for value in values if value < limit]
    return found[-1] if found else None
