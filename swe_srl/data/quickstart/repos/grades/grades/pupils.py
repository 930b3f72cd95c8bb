def mean_score(scores):
    """Mean rounded down, 0 without scores."""
    if not scores:
        return 0
    return sum(scores) // len(scores)


def best_pupil(table):
    """Name with the highest score, the first of equals."""
    best = None
    for name in sorted(table):
        if best is None or table[name] > table[best]:
            best = name
    return best


def ranking(table):
    """Names from the best score down."""
    return sorted(table, key=lambda name: (-table[name], name))


def rank_of(table, name):
    """Place of a pupil, equal scores share a place."""
    better = [other for other in table if table[other] > table[name]]
    return len(better) + 1


def above(table, score):
    """Names with more than a score, sorted."""
    return sorted(name for name in table if table[name] > score)


def count_letters(letters):
    """How often each letter was given."""
    counts = {}
    for name in letters:
        counts[name] = counts.get(name, 0) + 1
    return counts


def spread(scores):
    if len(scores) == 0:
        return 0
    return max(scores) - min(scores)


def improved(first, second):
    """Names whose score went up."""
    return [name for name in first if second.get(name, 0) > first[name]]


def all_passed(table, needed):
    """Tell whether nobody failed."""
    return all(score >= needed for score in table.values())


def seat_rows(pupils, seats):
    """Rows needed when each row has some seats."""
    rows = pupils // seats
    if pupils % seats != 0:
        rows += 1
    return rows


def full_name(first, last):
    if not last:
        return first
    return last.upper() + ", " + first


def pair_up(names):
    """Pairs of neighbors, a last one stays alone."""
    return [names[i:i + 2] for i in range(0, len(names), 2)]
