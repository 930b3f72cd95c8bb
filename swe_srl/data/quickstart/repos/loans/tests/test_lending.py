from loans.lending import *
import unittest


class TestLending(unittest.TestCase):
    def test_due_day_1(self):
        self.assertEqual(due_day(5, 2), 19)

    def test_due_day_2(self):
        self.assertEqual(due_day(0, 4), 28)

    def test_due_day_3(self):
        self.assertEqual(due_day(10, 0), 10)

    def test_days_late_1(self):
        self.assertEqual(days_late(10, 12), 2)

    def test_days_late_2(self):
        self.assertEqual(days_late(10, 10), 0)

    def test_days_late_3(self):
        self.assertEqual(days_late(10, 3), 0)

    def test_fine_1(self):
        self.assertEqual(fine(3, 10, 100), 30)

    def test_fine_2(self):
        self.assertEqual(fine(20, 10, 100), 100)

    def test_fine_3(self):
        self.assertEqual(fine(0, 10, 100), 0)

    def test_may_borrow_1(self):
        self.assertEqual(may_borrow(2, 3, 0), True)

    def test_may_borrow_2(self):
        self.assertEqual(may_borrow(3, 3, 0), False)

    def test_may_borrow_3(self):
        self.assertEqual(may_borrow(0, 3, 5), False)

    def test_may_borrow_4(self):
        self.assertEqual(may_borrow(4, 3, 2), False)

    def test_extend_loan_1(self):
        self.assertEqual(extend_loan(10, 0), 24)

    def test_extend_loan_2(self):
        self.assertEqual(extend_loan(10, 2), 10)

    def test_extend_loan_3(self):
        self.assertEqual(extend_loan(10, 1), 24)

    def test_borrow_1(self):
        self.assertEqual(borrow(["a", "b", "a"], "a"), ["b", "a"])

    def test_borrow_2(self):
        self.assertEqual(borrow(["a"], "b"), ["a"])

    def test_borrow_3(self):
        self.assertEqual(borrow(["a", "b"], "b"), ["a"])

    def test_queue_place_1(self):
        self.assertEqual(queue_place(["ann", "bob"], "bob"), 2)

    def test_queue_place_2(self):
        self.assertEqual(queue_place([], "bob"), 0)

    def test_queue_place_3(self):
        self.assertEqual(queue_place(["ann"], "ann"), 1)

    def test_next_reader_1(self):
        self.assertEqual(next_reader(["ann", "bob"], ["ann"]), "bob")

    def test_next_reader_2(self):
        self.assertEqual(next_reader(["ann"], []), "ann")

    def test_next_reader_3(self):
        self.assertEqual(next_reader([], ["ann"]), None)

    def test_overdue_1(self):
        self.assertEqual(overdue({"b": 5, "a": 6}, 7), ["a", "b"])

    def test_overdue_2(self):
        self.assertEqual(overdue({"a": 7}, 7), [])

    def test_overdue_3(self):
        self.assertEqual(overdue({"a": 3, "c": 9}, 5), ["a"])

    def test_reminder_1(self):
        self.assertEqual(reminder(0), "")

    def test_reminder_2(self):
        self.assertEqual(reminder(1), "soon")

    def test_reminder_3(self):
        self.assertEqual(reminder(7), "late")

    def test_reminder_4(self):
        self.assertEqual(reminder(30), "urgent")

    def test_reminder_5(self):
        self.assertEqual(reminder(6), "soon")

    def test_lend_1(self):
        self.assertEqual(Card(2).lend("a"), 1)

    def test_lend_2(self):
        self.assertEqual(Card(0).lend("a"), 0)

    def test_lend_3(self):
        self.assertEqual(Card(1).lend("b"), 1)

    def test_is_full_1(self):
        self.assertEqual(Card(0).is_full(), True)

    def test_is_full_2(self):
        self.assertEqual(Card(1).is_full(), False)

    def test_is_full_3(self):
        self.assertEqual(Card(3).is_full(), False)
