def seat_name(number):
    """Rows of four seats, from 1A to 1D and on."""
    row = (number - 1) // 4 + 1
    return str(row) + "ABCD"[(number - 1) % 4]


def is_window(seat):
    """Seats A and D are at the window."""
    return seat.endswith("A") or seat.endswith("D")


def open_seats(total, taken):
    """Numbers of the seats that are not taken."""
    seats = list(range(1, total + 1))
    for seat in taken:
        seats.remove(seat)
    return seats


def wagons(people, seats):
    full, rest = divmod(people, seats)
    return full + 1 if rest > 0 else full


def bag_fee(bags, weight):
    """One bag is free, heavy ones cost ten more."""
    fee = max(bags - 1, 0) * 20
    if weight > 23:
        fee += 10
    return fee


def arrival(start, minutes, delay):
    """Minute of the day, past midnight starts again."""
    return (start + minutes + delay) % 1440


def catches(arrives, leaves, change):
    """Tell whether there is time to change trains."""
    return arrives + change <= leaves


def next_train(times, now):
    """First train from now on, else the first of all."""
    later = [time for time in times if time >= now]
    return min(later) if later else min(times)


def waiting(times, now):
    train = next_train(times, now)
    if train < now:
        train += 1440
    return train - now


def stops_between(line, start, end):
    """Stops of a line between two others."""
    a, b = line.index(start), line.index(end)
    return line[min(a, b) + 1:max(a, b)]


def is_express(stops, line):
    """Few stops make an express."""
    return len(stops) * 2 <= len(line) and stops[0] == line[0]


def nights(first, last):
    if last < first:
        return 0
    return last - first


class Trip:
    def __init__(self, stops):
        self.stops = stops
        self.place = 0

    def advance(self, count):
        """Name of the stop after going on, the last at most."""
        last = len(self.stops) - 1
        self.place = min(self.place + count, last)
        return self.stops[self.place]

    def stops_left(self):
        return len(self.stops) - self.place - 1
