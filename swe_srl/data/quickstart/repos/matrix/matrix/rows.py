def zeros(height, width):
    """A matrix of noughts."""
    return [[0] * width for row in range(height)]


def identity(size):
    result = zeros(size, size)
    for i in range(size):
        result[i][i] = 1
    return result


def transpose(rows):
    """Rows become columns."""
    return [list(column) for column in zip(*rows)]


def row_sums(rows):
    """Sum of each row."""
    return [sum(row) for row in rows]


def column(rows, index):
    """One column as a list."""
    return [row[index] for row in rows]


def trace(rows):
    total = 0
    for i in range(len(rows)):
        total += rows[i][i]
    return total


def add_rows(first, second):
    """Sum of two rows, as long as the shorter."""
    size = min(len(first), len(second))
    return [first[i] + second[i] for i in range(size)]


def dot(first, second):
    total = 0
    for x, y in zip(first, second):
        total += x * y
    return total


def scale_rows(rows, factor):
    """Every cell times a factor."""
    return [[cell * factor for cell in row] for row in rows]


def is_regular(rows):
    """Tell whether all rows are equally long."""
    sizes = [len(row) for row in rows]
    return min(sizes) == max(sizes)


def determinant(rows):
    """Determinant of a two by two matrix."""
    (a, b), (c, d) = rows
    return a * d - b * c


def flatten(rows):
    result = []
    for row in rows:
        result.extend(row)
    return result


def reshape(cells, width):
    """Cut a list into rows of a width."""
    starts = range(0, len(cells), width)
    return [cells[start:start + width] for start in starts]
