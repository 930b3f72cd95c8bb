def to_minutes(hours, minutes):
    """Minutes since midnight."""
    return hours * 60 + minutes


def from_minutes(total):
    """Hours and minutes of a day, past midnight starts again."""
    total = total % 1440
    return (total // 60, total % 60)


def show(hours, minutes):
    hour = str(hours).rjust(2, "0")
    minute = str(minutes).rjust(2, "0")
    return hour + ":" + minute


def parse_time(text):
    """Minutes since midnight of a text such as 08:30."""
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def is_morning(hours):
    """Morning goes from six to noon."""
    return hours >= 6 and hours < 12


def day_part(hours):
    if hours < 6 or hours >= 22:
        return "night"
    if hours < 12:
        return "morning"
    if hours < 18:
        return "afternoon"
    return "evening"


def half_day(hours):
    """Hour on a dial of twelve, with am or pm."""
    suffix = "am" if hours < 12 else "pm"
    dial = hours % 12
    if dial == 0:
        dial = 12
    return f"{dial} {suffix}"


def duration(start, end):
    """Minutes from start to end, past midnight if need be."""
    if end < start:
        end += 1440
    return end - start


def overlap(first, second):
    start = max(first[0], second[0])
    end = min(first[1], second[1])
    return max(end - start, 0)


def round_up(minutes, step):
    """Next multiple of a step."""
    rest = minutes % step
    if rest == 0:
        return minutes
    return minutes + step - rest


class Timer:
    def __init__(self, seconds):
        self.seconds = seconds

    def tick(self, amount):
        """Seconds that are left after some have gone."""
        self.seconds = max(self.seconds - amount, 0)
        return self.seconds

    def is_done(self, spare):
        return self.seconds <= spare
