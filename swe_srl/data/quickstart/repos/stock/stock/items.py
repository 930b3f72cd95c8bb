def add_item(shelf, name, amount):
    """Put more of an item on the shelf."""
    shelf[name] = shelf.get(name, 0) + amount
    return shelf


def take_item(shelf, name, amount):
    """Take at most `amount` of an item, return how many."""
    taken = min(shelf.get(name, 0), amount)
    shelf[name] = shelf.get(name, 0) - taken
    return taken


def total_items(shelf):
    total = 0
    for name in shelf:
        total += shelf[name]
    return total


def is_low(amount, limit):
    """An item is low at its limit or below."""
    if limit <= 0:
        return False
    return amount <= limit


def low_items(shelf, limit):
    names = []
    for name in sorted(shelf):
        if shelf[name] <= limit:
            names.append(name)
    return names


def missing(shelf, wanted):
    """Names that are wanted but not on the shelf."""
    return [name for name in wanted if shelf.get(name, 0) == 0]


def merge(first, second):
    result = dict(first)
    for name, amount in second.items():
        result[name] = result.get(name, 0) + amount
    return result


def most_common(shelf):
    """Name of the item with the largest amount."""
    if not shelf:
        return None
    return max(sorted(shelf), key=shelf.get)


def boxes_needed(amount, per_box):
    if amount <= 0:
        return 0
    return (amount + per_box - 1) // per_box


def label(name, amount):
    """Short label such as 3 x nut."""
    if amount == 1:
        return name
    return f"{amount} x {name}"


def parse_label(text):
    if " x " not in text:
        return (text, 1)
    amount, name = text.split(" x ", 1)
    return (name, int(amount))


class Bin:
    def __init__(self, size):
        self.size = size
        self.used = 0

    def free(self):
        """Room that is left."""
        return self.size - self.used

    def put(self, amount):
        if amount > self.free():
            return False
        self.used += amount
        return True
