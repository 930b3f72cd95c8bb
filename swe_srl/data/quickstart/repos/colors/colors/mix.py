def clip(value):
    """Keep a channel between 0 and 255."""
    if value < 0:
        return 0
    if value > 255:
        return 255
    return value


def invert(color):
    """The opposite color."""
    return tuple(255 - channel for channel in color)


def blend(a, b):
    """Mean of two colors."""
    return tuple((x + y) // 2 for x, y in zip(a, b))


def lighten(color, amount):
    """Add light to every channel."""
    return tuple(clip(channel + amount) for channel in color)


def darken(color, amount):
    """Take light off every channel."""
    return tuple(clip(channel - amount) for channel in color)


def brightness(color):
    """Mean of the channels, rounded down."""
    return sum(color) // 3


def is_dark(color):
    """Dark colors are below the middle."""
    return brightness(color) < 128


def is_gray(color):
    """All channels of a gray are equal."""
    red, green, blue = color
    return red == green and green == blue


def strongest(color):
    names = ["red", "green", "blue"]
    return names[color.index(max(color))]


def color_distance(a, b):
    """Sum of the differences of the channels."""
    return sum(abs(x - y) for x, y in zip(a, b))


def closest(color, palette):
    best = palette[0]
    for other in palette:
        if color_distance(color, other) < color_distance(color, best):
            best = other
    return best


def text_color(background):
    """White on dark colors, black on the others."""
    if is_dark(background):
        return "white"
    return "black"
