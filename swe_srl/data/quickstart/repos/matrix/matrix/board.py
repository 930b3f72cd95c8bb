def make_board(size, mark):
    """A square board full of a mark."""
    return [mark * size for row in range(size)]


def on_board(size, x, y):
    """Tell whether a cell is on a square board."""
    return 0 <= x < size and 0 <= y < size


def neighbors(size, x, y):
    """Number of cells beside a cell, corners not counted."""
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    return sum(1 for dx, dy in steps if on_board(size, x + dx, y + dy))


def cell_color(x, y):
    if (x + y) % 2 == 0:
        return "white"
    return "black"


def wins_row(row, mark):
    """Tell whether a row holds one mark only."""
    return len(row) > 0 and all(cell == mark for cell in row)


def next_player(player, players):
    """Players are numbered from 1."""
    return player % players + 1


def count_mark(board, mark):
    """How often a mark is on the board."""
    return sum(row.count(mark) for row in board)


def is_corner(size, x, y):
    edge = size - 1
    return x in (0, edge) and y in (0, edge)


def mirror(board):
    """The board seen from behind."""
    return [row[::-1] for row in board]


def moves_left(board):
    left = 0
    for row in board:
        left += row.count(".")
    return left


def cell_name(x, y):
    """Name such as a1 of a cell."""
    return "abcdefgh"[x] + str(y + 1)


def knight_move(dx, dy):
    low = min(abs(dx), abs(dy))
    high = max(abs(dx), abs(dy))
    return low == 1 and high == 2
