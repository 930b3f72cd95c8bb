def is_isbn(text):
    """Ten digits, with dashes or not."""
    digits = text.replace("-", "")
    return len(digits) == 10 and digits.isdigit()


def sort_title(title):
    """Title for sorting, The goes to the end."""
    if title.startswith("The "):
        return title[4:] + ", The"
    return title


def shelf_code(author, year):
    """First three letters and the last two digits."""
    return author[:3].upper() + str(year)[-2:]


def reading_days(pages, per_day):
    if per_day <= 0:
        return -1
    days = 0
    while pages > 0:
        pages -= per_day
        days += 1
    return days


def pages_left(pages, read):
    """Pages that are not read yet."""
    return max(pages - read, 0)


def is_thick(pages, limit):
    """Thick books have more pages than a limit."""
    return pages > limit


def by_year(books, first, last):
    """Titles from a range of years, sorted."""
    found = [title for title in books if first <= books[title] <= last]
    return sorted(found)


def oldest_book(books):
    if not books:
        return None
    return min(sorted(books), key=books.get)


def find_titles(titles, word):
    """Titles that contain a word in any case."""
    return [title for title in titles if word.lower() in title.lower()]


def copies(titles, title):
    count = 0
    for other in titles:
        if other == title:
            count += 1
    return count


def shelf_width(books, gap):
    """Width of books that stand side by side."""
    if len(books) == 0:
        return 0
    return sum(books) + gap * (len(books) - 1)


def author_name(text):
    """Turns Woolf, Virginia around."""
    last, comma, first = text.partition(", ")
    if not comma:
        return last
    return first + " " + last
