from matrix.board import *
import unittest


class TestBoard(unittest.TestCase):
    def test_make_board_1(self):
        self.assertEqual(make_board(2, "."), ["..", ".."])

    def test_make_board_2(self):
        self.assertEqual(make_board(3, "x"), ["xxx", "xxx", "xxx"])

    def test_make_board_3(self):
        self.assertEqual(make_board(1, "."), ["."])

    def test_on_board_1(self):
        self.assertEqual(on_board(3, 0, 0), True)

    def test_on_board_2(self):
        self.assertEqual(on_board(3, 3, 0), False)

    def test_on_board_3(self):
        self.assertEqual(on_board(3, 2, 2), True)

    def test_on_board_4(self):
        self.assertEqual(on_board(3, 1, -1), False)

    def test_on_board_5(self):
        self.assertEqual(on_board(3, 1, 3), False)

    def test_neighbors_1(self):
        self.assertEqual(neighbors(3, 1, 1), 4)

    def test_neighbors_2(self):
        self.assertEqual(neighbors(3, 0, 0), 2)

    def test_neighbors_3(self):
        self.assertEqual(neighbors(3, 0, 1), 3)

    def test_neighbors_4(self):
        self.assertEqual(neighbors(1, 0, 0), 0)

    def test_cell_color_1(self):
        self.assertEqual(cell_color(0, 0), "white")

    def test_cell_color_2(self):
        self.assertEqual(cell_color(0, 1), "black")

    def test_cell_color_3(self):
        self.assertEqual(cell_color(3, 3), "white")

    def test_cell_color_4(self):
        self.assertEqual(cell_color(2, 1), "black")

    def test_wins_row_1(self):
        self.assertEqual(wins_row("xxx", "x"), True)

    def test_wins_row_2(self):
        self.assertEqual(wins_row("xox", "x"), False)

    def test_wins_row_3(self):
        self.assertEqual(wins_row("", "x"), False)

    def test_wins_row_4(self):
        self.assertEqual(wins_row("o", "o"), True)

    def test_next_player_1(self):
        self.assertEqual(next_player(1, 2), 2)

    def test_next_player_2(self):
        self.assertEqual(next_player(2, 2), 1)

    def test_next_player_3(self):
        self.assertEqual(next_player(2, 4), 3)

    def test_count_mark_1(self):
        self.assertEqual(count_mark(["x.x", "..x"], "x"), 3)

    def test_count_mark_2(self):
        self.assertEqual(count_mark([".."], "x"), 0)

    def test_count_mark_3(self):
        self.assertEqual(count_mark([], "o"), 0)

    def test_is_corner_1(self):
        self.assertEqual(is_corner(3, 0, 2), True)

    def test_is_corner_2(self):
        self.assertEqual(is_corner(3, 1, 0), False)

    def test_is_corner_3(self):
        self.assertEqual(is_corner(4, 3, 3), True)

    def test_is_corner_4(self):
        self.assertEqual(is_corner(3, 2, 1), False)

    def test_mirror_1(self):
        self.assertEqual(mirror(["ab", "cd"]), ["ba", "dc"])

    def test_mirror_2(self):
        self.assertEqual(mirror(["x.."]), ["..x"])

    def test_mirror_3(self):
        self.assertEqual(mirror([]), [])

    def test_moves_left_1(self):
        self.assertEqual(moves_left(["x.", ".."]), 3)

    def test_moves_left_2(self):
        self.assertEqual(moves_left(["xo"]), 0)

    def test_moves_left_3(self):
        self.assertEqual(moves_left([]), 0)

    def test_cell_name_1(self):
        self.assertEqual(cell_name(0, 0), "a1")

    def test_cell_name_2(self):
        self.assertEqual(cell_name(7, 7), "h8")

    def test_cell_name_3(self):
        self.assertEqual(cell_name(2, 4), "c5")

    def test_knight_move_1(self):
        self.assertEqual(knight_move(1, 2), True)

    def test_knight_move_2(self):
        self.assertEqual(knight_move(2, -1), True)

    def test_knight_move_3(self):
        self.assertEqual(knight_move(2, 2), False)

    def test_knight_move_4(self):
        self.assertEqual(knight_move(1, 1), False)

    def test_knight_move_5(self):
        self.assertEqual(knight_move(0, 2), False)
