def base_fare(zones):
    """Two for the first zone, one for each other."""
    if zones <= 0:
        return 0
    return 2 + (zones - 1)


def age_fare(fare, age):
    if age < 6:
        return 0
    if age < 16 or age >= 65:
        return fare // 2
    return fare


def group_fare(fare, people):
    """From five people on, one rides for nothing."""
    if people >= 5:
        people -= 1
    return fare * people


def day_ticket(fares, price):
    """The single fares together, or one day ticket."""
    return min(sum(fares), price)


def is_peak(hour, weekday):
    """Peak hours are from seven to nine on working days."""
    return weekday < 5 and 7 <= hour < 9


def peak_fare(fare, peak):
    """Half as much again in peak hours."""
    return fare * 3 // 2 if peak else fare


def zones_between(start, end):
    """Zones that are touched, both ends included."""
    return abs(end - start) + 1


def refund(fare, hours):
    """All money a day before, half until the last hour."""
    if hours >= 24:
        return fare
    return fare // 2 if hours >= 1 else 0


def valid_ticket(start, minutes, now):
    """A ticket is good for some minutes."""
    return start <= now <= start + minutes


def cheapest(fares):
    """Name of the lowest fare, the first of equals."""
    best = None
    for name in sorted(fares):
        if best is None or fares[name] < fares[best]:
            best = name
    return best


def points_for(miles, member):
    """Members collect double points."""
    points = miles // 10
    if member:
        return points * 2
    return points


def ticket_code(start, end):
    """Two letters of both ends."""
    return start[:2].upper() + "-" + end[:2].upper()
