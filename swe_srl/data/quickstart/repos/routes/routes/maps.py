def roads_from(roads, town):
    """Towns one road away, sorted."""
    ends = [b for a, b in roads if a == town]
    starts = [a for a, b in roads if b == town]
    return sorted(starts + ends)


def is_linked(roads, a, b):
    """Roads lead both ways."""
    return (a, b) in roads or (b, a) in roads


def towns(roads):
    """Every town of a map once, sorted."""
    names = []
    for a, b in roads:
        names += [name for name in (a, b) if name not in names]
    return sorted(names)


def route_length(route, miles):
    """Sum of the miles from stop to stop."""
    total = 0
    for stop in zip(route, route[1:]):
        total += miles[stop]
    return total


def hops(route):
    """Roads on a route."""
    return max(len(route) - 1, 0)


def is_round_trip(route):
    """Tell whether a route ends where it starts."""
    return len(route) > 1 and route[0] == route[-1]


def dead_ends(roads):
    """Towns with one road only."""
    names = towns(roads)
    return [name for name in names if len(roads_from(roads, name)) == 1]


def shorter_route(first, second):
    if len(second) < len(first):
        return second
    return first


def skip_stop(route, stop):
    """The route without a stop, its ends always stay."""
    middle = [other for other in route[1:-1] if other != stop]
    return route[:1] + middle + route[-1:]


def way_back(route):
    """The stops from last to first."""
    return route[::-1]


def travel_time(miles, speed):
    """Minutes for a way, rounded up."""
    minutes = miles * 60
    if minutes % speed == 0:
        return minutes // speed
    return minutes // speed + 1


def fuel_stops(miles, reach):
    if miles <= reach:
        return 0
    return (miles - 1) // reach
