def order_total(lines):
    """Sum of amount times price over the lines."""
    return sum(amount * price for amount, price in lines)


def discount(total, percent):
    """Whole amount to take off."""
    if percent < 0 or percent > 100:
        return 0
    return total * percent // 100


def bulk_price(price, amount):
    if amount >= 100:
        return price * amount * 8 // 10
    if amount >= 10:
        return price * amount * 9 // 10
    return price * amount


def shipping(total, free_from):
    """Shipping is free from a total on."""
    if total >= free_from:
        return 0
    return 5


def can_ship(order, shelf):
    for name, amount in order.items():
        if shelf.get(name, 0) < amount:
            return False
    return True


def split_order(amount, size):
    """Parcel sizes for an order, the last may be smaller."""
    parcels = [size] * (amount // size)
    if amount % size:
        parcels.append(amount % size)
    return parcels


def order_code(number, year):
    tail = str(number).rjust(4, "0")
    return f"{year}-{tail}"


def order_number(code):
    """Number in an order code such as 2024-0012."""
    year, number = code.split("-")
    return int(number)


def is_open(state):
    """An order is open until it is paid or sent."""
    return state != "paid" and state != "sent"


def next_state(state):
    """State that follows in the life of an order."""
    states = ["new", "packed", "sent"]
    if state not in states or state == "sent":
        return state
    return states[states.index(state) + 1]


def backlog(orders, done):
    left = [order for order in orders if order not in done]
    return len(left)


def newest(codes):
    """Largest order code, or an empty text."""
    if len(codes) == 0:
        return ""
    return max(codes)
