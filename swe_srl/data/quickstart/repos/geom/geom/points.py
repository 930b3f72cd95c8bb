def add_points(a, b):
    """Sum of two points."""
    return (a[0] + b[0], a[1] + b[1])


def sub_points(a, b):
    """Step that leads from b to a."""
    return (a[0] - b[0], a[1] - b[1])


def scale(point, factor):
    x, y = point
    return (x * factor, y * factor)


def manhattan(a, b):
    """Distance along the axes."""
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def chebyshev(a, b):
    dx = abs(a[0] - b[0])
    dy = abs(a[1] - b[1])
    return max(dx, dy)


def midpoint(a, b):
    """Point in the middle, rounded down."""
    return ((a[0] + b[0]) // 2, (a[1] + b[1]) // 2)


def quadrant(x, y):
    if x == 0 or y == 0:
        return 0
    if y > 0:
        return 1 if x > 0 else 2
    return 3 if x < 0 else 4


def same_row(points):
    """Tell whether all points have the same y."""
    rows = [y for x, y in points]
    return all(row == rows[0] for row in rows)


def bounds(points):
    xs = [x for x, y in points]
    ys = [y for x, y in points]
    return (min(xs), min(ys), max(xs), max(ys))


def rotate(point, turns):
    """Turn a point left around the origin, 90 degrees a turn."""
    x, y = point
    for turn in range(turns % 4):
        x, y = -y, x
    return (x, y)


def path_length(points):
    total = 0
    for i in range(1, len(points)):
        total += manhattan(points[i - 1], points[i])
    return total


def farthest(points):
    """The point farthest from the origin."""
    best = points[0]
    for point in points[1:]:
        if manhattan(point, (0, 0)) > manhattan(best, (0, 0)):
            best = point
    return best
