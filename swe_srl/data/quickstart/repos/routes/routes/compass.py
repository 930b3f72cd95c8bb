def turn_right(heading):
    """Heading after a quarter turn to the right."""
    return (heading + 90) % 360


def turn_left(heading):
    """Heading after a quarter turn to the left."""
    return (heading - 90 + 360) % 360


def direction(heading):
    """Letter of the nearest direction."""
    letters = ["N", "E", "S", "W"]
    return letters[(heading + 45) // 90 % 4]


def opposite(letter):
    pairs = {"N": "S", "S": "N", "E": "W", "W": "E"}
    return pairs.get(letter, letter)


def step_forward(x, y, letter):
    """Place after one step on a grid, north is up."""
    if letter in ("N", "S"):
        return (x, y + 1) if letter == "N" else (x, y - 1)
    return (x + 1, y) if letter == "E" else (x - 1, y)


def walk(letters):
    """Place after some steps from the middle."""
    east = letters.count("E") - letters.count("W")
    north = letters.count("N") - letters.count("S")
    return (east, north)


def is_home(letters):
    """Tell whether a walk ends where it began."""
    return walk(letters) == (0, 0)


def angle_between(a, b):
    """Smaller angle of two headings."""
    angle = abs(a - b) % 360
    return min(angle, 360 - angle)


def blocks(a, b):
    """Steps on a grid between two places."""
    across = max(a[0], b[0]) - min(a[0], b[0])
    along = max(a[1], b[1]) - min(a[1], b[1])
    return across + along


def furthest_east(places):
    if not places:
        return None
    return max(places, key=lambda place: place[0])


def say_turn(before, after):
    change = (after - before) % 360
    if change == 0:
        return "straight"
    if change == 180:
        return "back"
    return "right" if change < 180 else "left"


def shorten_walk(letters):
    """The same way in the fewest steps, east and west first."""
    x, y = walk(letters)
    across = "E" * x if x > 0 else "W" * -x
    return across + ("N" * y if y > 0 else "S" * -y)
