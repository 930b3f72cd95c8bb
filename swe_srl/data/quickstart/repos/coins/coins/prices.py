def to_cents(whole, cents):
    """Amount in cents."""
    return whole * 100 + cents


def show_price(cents):
    """Text such as 3.05 for 305 cents."""
    whole = cents // 100
    rest = str(cents % 100).rjust(2, "0")
    return f"{whole}.{rest}"


def add_tax(cents, percent):
    """Price with tax, rounded down."""
    return cents + cents * percent // 100


def reduced(cents, percent):
    if percent >= 100:
        return 0
    return cents - cents * percent // 100


def cheaper(first, second):
    """The lower of two prices, 0 means no price."""
    if first == 0 or second == 0:
        return max(first, second)
    return min(first, second)


def in_budget(prices, budget):
    total = 0
    for price in prices:
        total += price
    return total <= budget


def unit_price(cents, amount):
    """Price of one piece, 0 without pieces."""
    if amount == 0:
        return 0
    return cents // amount


def buyable(prices, money):
    """Names that one can pay with the money, sorted."""
    names = [name for name in prices if prices[name] <= money]
    return sorted(names)


def round_price(cents, step):
    half = step // 2
    return (cents + half) // step * step


def price_range(prices):
    """Difference between the dearest and the cheapest."""
    if not prices:
        return 0
    return max(prices) - min(prices)


def price_level(cents):
    if cents < 1000:
        return "low"
    if cents < 5000:
        return "middle"
    return "high"


def ends_in_nine(cents):
    """Tell whether a price looks smaller than it is."""
    text = str(cents)
    return text.endswith("9") or text.endswith("95")
