def length(span):
    """Numbers in an interval, 0 for an empty one."""
    return max(span[1] - span[0], 0)


def contains(span, number):
    """The end does not belong to an interval."""
    return span[0] <= number < span[1]


def overlaps(a, b):
    if a[0] >= b[1]:
        return False
    return b[0] < a[1]


def intersection(a, b):
    """Common part of two intervals, or None."""
    start = max(a[0], b[0])
    end = min(a[1], b[1])
    if start >= end:
        return None
    return (start, end)


def hull(a, b):
    """Smallest interval around two others."""
    return (min(a[0], b[0]), max(a[1], b[1]))


def gap(a, b):
    """Numbers between two intervals."""
    if overlaps(a, b):
        return 0
    return max(a[0], b[0]) - min(a[1], b[1])


def shift(span, by):
    start, end = span
    return (start + by, end + by)


def widen(span, by):
    start, end = span
    if end - start + 2 * by < 0:
        return (start, start)
    return (start - by, end + by)


def touches(a, b):
    """Tell whether one interval begins where the other ends."""
    return a[1] == b[0] or b[1] == a[0]


def covers(outer, inner):
    """Tell whether one interval holds another."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def center(span):
    """Number in the middle, rounded down."""
    return (span[0] + span[1]) // 2


def halves(span):
    start, end = span
    middle = (start + end) // 2
    return [(start, middle), (middle, end)]
