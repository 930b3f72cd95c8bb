def plan_week(dishes, days):
    """Dishes in turn for some days."""
    return [dishes[day % len(dishes)] for day in range(days)]


def same_twice(plan):
    """Tell whether a dish comes two days in a row."""
    return any(a == b for a, b in zip(plan, plan[1:]))


def days_since(plan, dish):
    """Days back to the last time, -1 for never."""
    if dish not in plan:
        return -1
    return plan[::-1].index(dish)


def calories(amounts, table):
    """Calories from a table for 100 grams."""
    total = 0
    for name, amount in amounts.items():
        total += amount * table.get(name, 0) // 100
    return total


def meal_of(hour):
    if hour < 11:
        return "breakfast"
    if hour < 16:
        return "lunch"
    return "dinner"


def within_diet(eaten, limit):
    """Tell whether one has eaten little enough."""
    return sum(eaten) <= limit


def leftovers(cooked, guests, each):
    """Portions that remain, never below zero."""
    return max(cooked - guests * each, 0)


def next_meal(meal):
    order = ["breakfast", "lunch", "dinner"]
    place = order.index(meal) + 1
    return order[place % 3]


def is_fresh(days, frozen):
    """Food keeps three days, frozen food ninety."""
    limit = 90 if frozen else 3
    return days <= limit


def bill_per_guest(total, guests):
    if guests < 1:
        return total
    return -(-total // guests)


def vote(choices):
    """Dish with the most votes, the first one of a tie."""
    best = choices[0]
    for dish in choices:
        if choices.count(dish) > choices.count(best):
            best = dish
    return best


class Table:
    def __init__(self, seats):
        self.seats = seats
        self.guests = 0

    def sit_down(self, group):
        """Seat a group if it fits."""
        if self.guests + group > self.seats:
            return False
        self.guests += group
        return True

    def free_seats(self):
        return self.seats - self.guests
