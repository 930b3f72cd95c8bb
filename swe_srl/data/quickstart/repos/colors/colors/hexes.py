def to_hex(value):
    """Two digits for a channel."""
    digits = "0123456789abcdef"
    return digits[value // 16] + digits[value % 16]


def from_hex(text):
    """Number of a text in base 16."""
    return int(text, 16)


def show_color(color):
    """Text such as #ff0010."""
    return "#" + "".join(to_hex(channel) for channel in color)


def parse_color(text):
    """Channels of a text such as #ff0010."""
    text = text.lstrip("#")
    if len(text) == 3:
        text = "".join(c * 2 for c in text)
    return tuple(int(text[i:i + 2], 16) for i in (0, 2, 4))


def is_hex(text):
    """Tell whether a text is # and six digits."""
    if len(text) != 7 or text[0] != "#":
        return False
    return all(c in "0123456789abcdef" for c in text[1:])


def shorten_hex(text):
    if text[1] == text[2] and text[3] == text[4] and text[5] == text[6]:
        return "#" + text[1] + text[3] + text[5]
    return text


def same_color(first, second):
    """Compare two texts without looking at case."""
    return first.lower() == second.lower()


def named(name):
    """Channels of a few named colors."""
    known = {"black": (0, 0, 0), "white": (255, 255, 255)}
    return known.get(name.lower(), None)


def steps(start, end, count):
    """Values from start to end in even steps."""
    width = (end - start) // count
    return [start + width * i for i in range(count + 1)]


def hue_between(hue, low, high):
    """Hues go around a circle of 360."""
    if low <= high:
        return low <= hue <= high
    return hue >= low or hue <= high


def turn_hue(hue, angle):
    """Hue after a turn around the circle."""
    return (hue + angle) % 360


def opacity(percent):
    """Channel for a percentage."""
    if percent >= 100:
        return 255
    return max(percent, 0) * 255 // 100
