def next_index(index, size):
    """Place of the next song, after the last comes the first."""
    if index + 1 >= size:
        return 0
    return index + 1


def previous_index(index, size):
    """Place of the song before, the first follows the last."""
    return (index - 1) % size


def move_up(songs, name):
    """Swap a song with the one before it."""
    i = songs.index(name)
    if i > 0:
        songs[i - 1], songs[i] = songs[i], songs[i - 1]
    return songs


def remove_song(songs, name):
    """The songs without one of them."""
    return [song for song in songs if song != name]


def insert_after(songs, name, new):
    place = songs.index(name) + 1
    return songs[:place] + [new] + songs[place:]


def unique(songs):
    """Each song once, in the old order."""
    result = []
    for song in songs:
        if song not in result:
            result.append(song)
    return result


def rotate_list(songs, count):
    """The first songs go to the end."""
    return songs[count:] + songs[:count]


def interleave(first, second):
    result = []
    for a, b in zip(first, second):
        result += [a, b]
    return result


def by_artist(songs, artist):
    """Titles of one artist, written as artist - title."""
    prefix = artist + " - "
    return [song[len(prefix):] for song in songs if song.startswith(prefix)]


def title_of(song):
    """What follows the last dash."""
    if " - " not in song:
        return song
    return song.split(" - ")[-1]


def rating(up, down):
    """Stars from 0 to 5."""
    votes = up + down
    if votes == 0:
        return 0
    return up * 5 // votes


def is_favorite(plays, skips):
    """Often played and seldom skipped."""
    return plays >= 10 and skips * 2 < plays


def top(plays, count):
    """The most played songs."""
    names = sorted(plays, key=lambda name: (-plays[name], name))
    return names[:count]
