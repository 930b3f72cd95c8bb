def depth(text):
    """How deep the brackets are nested."""
    level = deepest = 0
    for c in text:
        level += (c == "(") - (c == ")")
        deepest = max(deepest, level)
    return deepest


def balanced(text):
    level = 0
    for c in text:
        level += (c == "(") - (c == ")")
        if level < 0:
            return False
    return level == 0


def closing(mark):
    """The bracket that closes another."""
    pairs = {"(": ")", "[": "]", "{": "}"}
    return pairs.get(mark, "")


def matches(opening, mark):
    """Tell whether two brackets belong together."""
    return opening + mark in ("()", "[]", "{}")


def inside(text):
    """What stands between the outer brackets."""
    start = text.find("(")
    end = text.rfind(")")
    if start < 0 or end < start:
        return ""
    return text[start + 1:end]


def wrap(text, times):
    """Brackets around a text, some times."""
    for turn in range(times):
        text = "(" + text + ")"
    return text


def unwrap(text):
    if text.startswith("(") and text.endswith(")"):
        return text[1:-1]
    return text


def count_pairs(text):
    """Pairs of brackets, lonely ones not counted."""
    return min(text.count("("), text.count(")"))


def parse_pair(text):
    if "=" not in text:
        return (text, "")
    key, value = text.split("=", 1)
    return (key.strip(), value.strip())


def parse_pairs(text):
    """A dict of a text such as a=1;b=2."""
    return dict(parse_pair(part) for part in text.split(";") if part)


def flag_name(text):
    """Name of a flag such as --all, else nothing."""
    if not text.startswith("--"):
        return ""
    return text[2:].lower()


def find_close(text, start):
    place = text.find(")", start)
    return len(text) if place == -1 else place
