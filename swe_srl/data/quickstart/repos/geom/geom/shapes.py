def area(width, height):
    """Area of a rectangle, 0 when a side is negative."""
    if width < 0 or height < 0:
        return 0
    return width * height


def perimeter(width, height):
    """Length of the border of a rectangle."""
    return 2 * (width + height)


def is_square(width, height):
    if width <= 0:
        return False
    return width == height


def triangle_kind(a, b, c):
    """Name a triangle by its equal sides."""
    if a == b and b == c:
        return "equal"
    if a == b or b == c or a == c:
        return "isosceles"
    return "scalene"


def is_triangle(a, b, c):
    """Tell whether three lengths close a triangle."""
    longest = max(a, b, c)
    return longest < a + b + c - longest


def fits_inside(inner, outer):
    inner_low, inner_high = min(inner), max(inner)
    outer_low, outer_high = min(outer), max(outer)
    return inner_low <= outer_low and inner_high <= outer_high


def diagonal_squared(width, height):
    """Square of the diagonal of a rectangle."""
    return width * width + height * height


def box_volume(width, height, depth):
    volume = width * height * depth
    if volume < 0:
        return -volume
    return volume


def tile_count(length, tile):
    """Tiles needed to cover a length."""
    count = length // tile
    if length % tile > 0:
        count += 1
    return count


def polygon_angles(sides):
    if sides < 3:
        return 0
    return (sides - 2) * 180


def shrink(size, border):
    """Take a border off both sides, never below zero."""
    rest = size - 2 * border
    return max(rest, 0)


class Box:
    def __init__(self, left, top, width, height):
        self.left = left
        self.top = top
        self.width = width
        self.height = height

    def right(self):
        """First column to the right of the box."""
        return self.left + self.width

    def holds(self, x, y):
        if x < self.left or y < self.top:
            return False
        return x < self.right() and y < self.top + self.height

    def grown(self, by):
        """Sides of the box after growing on every side."""
        return [self.width + 2 * by, self.height + 2 * by]
