def capital(word):
    """First letter large, the others small."""
    return word[:1].upper() + word[1:].lower()


def shout(text):
    if text.endswith("!"):
        return text.upper()
    return text.upper() + "!"


def shorten(text, limit):
    """Cut a text to at most `limit` characters."""
    if len(text) <= limit:
        return text
    return text[:limit - 1] + "."


def center(text, width):
    space = width - len(text)
    if space <= 0:
        return text
    left = space // 2
    return " " * left + text + " " * (space - left)


def pad_left(text, width, mark):
    """Fill a text on the left."""
    while len(text) < width:
        text = mark + text
    return text


def drop_prefix(text, prefix):
    if prefix and text.startswith(prefix):
        return text[len(prefix):]
    return text


def drop_suffix(text, suffix):
    """Remove an ending if it is there."""
    if suffix and text.endswith(suffix):
        return text[:-len(suffix)]
    return text


def swap_ends(word):
    if len(word) < 2:
        return word
    return word[-1] + word[1:-1] + word[0]


def repeat(word, times, gap):
    """The word several times with a gap between."""
    return gap.join([word] * times)


def plural(word, count):
    if count == 1:
        return word
    if word.endswith("s"):
        return word + "es"
    return word + "s"


def snake(text):
    """Words of a text joined by underscores."""
    return "_".join(text.lower().split())


def initials(name):
    letters = [part[0].upper() for part in name.split()]
    return "".join(letters)
