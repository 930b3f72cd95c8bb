def to_seconds(minutes, seconds):
    """Length of a song in seconds."""
    return minutes * 60 + seconds


def show_length(seconds):
    """Text such as 3:05."""
    rest = str(seconds % 60)
    if len(rest) == 1:
        rest = "0" + rest
    return str(seconds // 60) + ":" + rest


def parse_length(text):
    minutes, seconds = text.split(":")
    return int(minutes) * 60 + int(seconds)


def play_time(lengths, pause):
    """Time of all songs with a pause between two."""
    if not lengths:
        return 0
    return sum(lengths) + pause * (len(lengths) - 1)


def is_single(tracks, seconds):
    """A single has few tracks and is short."""
    return tracks <= 3 and seconds < 600


def longest_song(songs):
    best = ""
    for name in sorted(songs):
        if not best or songs[name] > songs[best]:
            best = name
    return best


def fit_songs(lengths, room):
    count = 0
    for length in lengths:
        if length > room:
            return count
        room -= length
        count += 1
    return count


def time_left(length, played):
    if played >= length:
        return 0
    return length - played


def progress(played, length):
    """Played part in percent."""
    if length == 0:
        return 100
    return min(played * 100 // length, 100)


def speed_up(seconds, percent):
    """Length of a song that plays faster."""
    return seconds * 100 // (100 + percent)


def beats(seconds, per_minute):
    """Beats of a song in full."""
    return seconds * per_minute // 60


def short_songs(songs, limit):
    """Names of the songs below a limit."""
    return sorted(name for name in songs if songs[name] < limit)
