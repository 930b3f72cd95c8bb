def merge_spans(spans):
    """Join intervals that overlap or touch."""
    result = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            start, end = result[-1][0], max(result.pop()[1], end)
        result.append((start, end))
    return result


def total_length(spans):
    """Sum of the lengths."""
    return sum(end - start for start, end in spans)


def gaps_between(spans):
    """Free intervals between sorted ones."""
    result = []
    for before, after in zip(spans, spans[1:]):
        if before[1] < after[0]:
            result.append((before[1], after[0]))
    return result


def count_at(spans, number):
    """How many intervals contain a number."""
    return sum(1 for start, end in spans if start <= number < end)


def longest_span(spans):
    best = None
    for span in spans:
        if best is None or span[1] - span[0] > best[1] - best[0]:
            best = span
    return best


def from_numbers(numbers):
    """Intervals of length one."""
    return [(number, number + 1) for number in sorted(numbers)]


def show_span(span):
    if span[1] - span[0] == 1:
        return str(span[0])
    return f"{span[0]}-{span[1] - 1}"


def parse_span(text):
    """Interval of a text such as 3-5, the 5 belongs to it."""
    first, mark, last = text.partition("-")
    if not mark:
        return (int(first), int(first) + 1)
    return (int(first), int(last) + 1)


def first_free(taken):
    """Smallest number from 0 on that is not taken."""
    number = 0
    while number in taken:
        number += 1
    return number


def is_sorted(spans):
    """Tell whether the starts never fall."""
    return all(a[0] <= b[0] for a, b in zip(spans, spans[1:]))


def clip_spans(spans, low, high):
    """Intervals cut to the numbers from low to high."""
    cut = [(max(a, low), min(b, high)) for a, b in spans]
    return [(a, b) for a, b in cut if a < b]


class Counter:
    def __init__(self, low, high):
        self.low = low
        self.high = high
        self.value = low

    def forward(self, by):
        """Count up, not beyond the highest value."""
        self.value = min(self.value + by, self.high)
        return self.value

    def room(self):
        return self.high - self.value
