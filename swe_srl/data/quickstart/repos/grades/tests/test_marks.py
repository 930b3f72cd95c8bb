from grades.marks import *
import unittest


class TestMarks(unittest.TestCase):
    def test_percent_1(self):
        self.assertEqual(percent(5, 10), 50)

    def test_percent_2(self):
        self.assertEqual(percent(1, 3), 33)

    def test_percent_3(self):
        self.assertEqual(percent(3, 0), 0)

    def test_percent_4(self):
        self.assertEqual(percent(8, 8), 100)

    def test_letter_1(self):
        self.assertEqual(letter(90), "A")

    def test_letter_2(self):
        self.assertEqual(letter(89), "B")

    def test_letter_3(self):
        self.assertEqual(letter(70), "C")

    def test_letter_4(self):
        self.assertEqual(letter(69), "F")

    def test_passed_1(self):
        self.assertEqual(passed(50, 50), True)

    def test_passed_2(self):
        self.assertEqual(passed(49, 50), False)

    def test_passed_3(self):
        self.assertEqual(passed(80, 50), True)

    def test_clamp_score_1(self):
        self.assertEqual(clamp_score(-5), 0)

    def test_clamp_score_2(self):
        self.assertEqual(clamp_score(105), 100)

    def test_clamp_score_3(self):
        self.assertEqual(clamp_score(50), 50)

    def test_clamp_score_4(self):
        self.assertEqual(clamp_score(0), 0)

    def test_curve_1(self):
        self.assertEqual(curve([50, 99], 5), [55, 100])

    def test_curve_2(self):
        self.assertEqual(curve([], 5), [])

    def test_curve_3(self):
        self.assertEqual(curve([100, 0], 1), [100, 1])

    def test_drop_lowest_1(self):
        self.assertEqual(drop_lowest([3, 1, 2]), [3, 2])

    def test_drop_lowest_2(self):
        self.assertEqual(drop_lowest([5]), [5])

    def test_drop_lowest_3(self):
        self.assertEqual(drop_lowest([1, 1]), [1])

    def test_drop_lowest_4(self):
        self.assertEqual(drop_lowest([]), [])

    def test_late_penalty_1(self):
        self.assertEqual(late_penalty(80, 1), 70)

    def test_late_penalty_2(self):
        self.assertEqual(late_penalty(80, 0), 80)

    def test_late_penalty_3(self):
        self.assertEqual(late_penalty(30, 4), 0)

    def test_late_penalty_4(self):
        self.assertEqual(late_penalty(90, 9), 40)

    def test_weighted_1(self):
        self.assertEqual(weighted([(80, 1), (90, 1)]), 85)

    def test_weighted_2(self):
        self.assertEqual(weighted([(100, 3), (0, 1)]), 75)

    def test_weighted_3(self):
        self.assertEqual(weighted([(7, 2)]), 7)

    def test_needs_retake_1(self):
        self.assertEqual(needs_retake([40, 40], 50), True)

    def test_needs_retake_2(self):
        self.assertEqual(needs_retake([40, 50], 50), False)

    def test_needs_retake_3(self):
        self.assertEqual(needs_retake([], 50), False)

    def test_grade_points_1(self):
        self.assertEqual(grade_points("A"), 4)

    def test_grade_points_2(self):
        self.assertEqual(grade_points("D"), 1)

    def test_grade_points_3(self):
        self.assertEqual(grade_points("F"), 0)

    def test_grade_points_4(self):
        self.assertEqual(grade_points("B"), 3)

    def test_score_answers_1(self):
        self.assertEqual(score_answers("abc", "abd"), 2)

    def test_score_answers_2(self):
        self.assertEqual(score_answers("", "abc"), 0)

    def test_score_answers_3(self):
        self.assertEqual(score_answers("cab", "cab"), 3)

    def test_missing_work_1(self):
        self.assertEqual(missing_work([1, 3], 4), [2, 4])

    def test_missing_work_2(self):
        self.assertEqual(missing_work([], 2), [1, 2])

    def test_missing_work_3(self):
        self.assertEqual(missing_work([1, 2], 2), [])
