def due_day(day, weeks):
    """Day on which a book must be back."""
    return day + weeks * 7


def days_late(due, returned):
    late = returned - due
    if late < 0:
        return 0
    return late


def fine(late, per_day, most):
    """Money for a late book, never more than the most."""
    return min(late * per_day, most)


def may_borrow(books, limit, fines):
    """Readers with fines or too many books may not."""
    return books < limit and fines == 0


def extend_loan(due, times):
    """Two weeks more, but only twice."""
    if times >= 2:
        return due
    return due + 14


def borrow(shelf, title):
    """The shelf without one copy of a title."""
    if title not in shelf:
        return shelf
    place = shelf.index(title)
    return shelf[:place] + shelf[place + 1:]


def queue_place(queue, reader):
    if reader not in queue:
        return 0
    return queue.index(reader) + 1


def next_reader(queue, blocked):
    """First reader in the queue who is not blocked."""
    for reader in queue:
        if reader not in blocked:
            return reader
    return None


def overdue(loans, today):
    """Titles that should be back, sorted."""
    return sorted(title for title, due in loans.items() if due < today)


def reminder(late):
    if late <= 0:
        return ""
    if late < 7:
        return "soon"
    return "urgent" if late >= 30 else "late"


class Card:
    def __init__(self, limit):
        self.limit = limit
        self.books = []

    def lend(self, title):
        """Number of books after taking one more."""
        if len(self.books) < self.limit:
            self.books.append(title)
        return len(self.books)

    def is_full(self):
        return len(self.books) == self.limit
