from matrix.rows import *
import unittest


class TestRows(unittest.TestCase):
    def test_zeros_1(self):
        self.assertEqual(zeros(2, 3), [[0, 0, 0], [0, 0, 0]])

    def test_zeros_2(self):
        self.assertEqual(zeros(1, 1), [[0]])

    def test_zeros_3(self):
        self.assertEqual(zeros(0, 2), [])

    def test_identity_1(self):
        self.assertEqual(identity(2), [[1, 0], [0, 1]])

    def test_identity_2(self):
        self.assertEqual(identity(1), [[1]])

    def test_identity_3(self):
        self.assertEqual(identity(3), [[1, 0, 0], [0, 1, 0], [0, 0, 1]])

    def test_transpose_1(self):
        self.assertEqual(transpose([[1, 2], [3, 4]]), [[1, 3], [2, 4]])

    def test_transpose_2(self):
        self.assertEqual(transpose([[1, 2, 3]]), [[1], [2], [3]])

    def test_transpose_3(self):
        self.assertEqual(transpose([[5]]), [[5]])

    def test_row_sums_1(self):
        self.assertEqual(row_sums([[1, 2], [3, 4]]), [3, 7])

    def test_row_sums_2(self):
        self.assertEqual(row_sums([[], [1]]), [0, 1])

    def test_row_sums_3(self):
        self.assertEqual(row_sums([]), [])

    def test_column_1(self):
        self.assertEqual(column([[1, 2], [3, 4]], 0), [1, 3])

    def test_column_2(self):
        self.assertEqual(column([[1, 2], [3, 4]], 1), [2, 4])

    def test_column_3(self):
        self.assertEqual(column([[7]], 0), [7])

    def test_trace_1(self):
        self.assertEqual(trace([[1, 2], [3, 4]]), 5)

    def test_trace_2(self):
        self.assertEqual(trace([[5]]), 5)

    def test_trace_3(self):
        self.assertEqual(trace([]), 0)

    def test_add_rows_1(self):
        self.assertEqual(add_rows([1, 2], [3, 4]), [4, 6])

    def test_add_rows_2(self):
        self.assertEqual(add_rows([1], [1, 2]), [2])

    def test_add_rows_3(self):
        self.assertEqual(add_rows([4, 0], [-4]), [0])

    def test_dot_1(self):
        self.assertEqual(dot([1, 2], [3, 4]), 11)

    def test_dot_2(self):
        self.assertEqual(dot([0, 5], [9, 1]), 5)

    def test_dot_3(self):
        self.assertEqual(dot([], []), 0)

    def test_scale_rows_1(self):
        self.assertEqual(scale_rows([[1, 2]], 3), [[3, 6]])

    def test_scale_rows_2(self):
        self.assertEqual(scale_rows([[4], [5]], 0), [[0], [0]])

    def test_scale_rows_3(self):
        self.assertEqual(scale_rows([[1, 1]], -1), [[-1, -1]])

    def test_is_regular_1(self):
        self.assertEqual(is_regular([[1], [2]]), True)

    def test_is_regular_2(self):
        self.assertEqual(is_regular([[1], [2, 3]]), False)

    def test_is_regular_3(self):
        self.assertEqual(is_regular([[]]), True)

    def test_determinant_1(self):
        self.assertEqual(determinant([[1, 2], [3, 4]]), -2)

    def test_determinant_2(self):
        self.assertEqual(determinant([[2, 0], [0, 2]]), 4)

    def test_determinant_3(self):
        self.assertEqual(determinant([[1, 1], [1, 1]]), 0)

    def test_flatten_1(self):
        self.assertEqual(flatten([[1, 2], [3]]), [1, 2, 3])

    def test_flatten_2(self):
        self.assertEqual(flatten([]), [])

    def test_flatten_3(self):
        self.assertEqual(flatten([[], [4]]), [4])

    def test_reshape_1(self):
        self.assertEqual(reshape([1, 2, 3, 4], 2), [[1, 2], [3, 4]])

    def test_reshape_2(self):
        self.assertEqual(reshape([1, 2, 3], 2), [[1, 2], [3]])

    def test_reshape_3(self):
        self.assertEqual(reshape([], 3), [])
