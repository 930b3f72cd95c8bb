from meals.plan import *
import unittest


class TestPlan(unittest.TestCase):
    def test_plan_week_1(self):
        self.assertEqual(plan_week(["a", "b"], 3), ["a", "b", "a"])

    def test_plan_week_2(self):
        self.assertEqual(plan_week(["a"], 2), ["a", "a"])

    def test_plan_week_3(self):
        self.assertEqual(plan_week(["a", "b"], 0), [])

    def test_same_twice_1(self):
        self.assertEqual(same_twice(["a", "a"]), True)

    def test_same_twice_2(self):
        self.assertEqual(same_twice(["a", "b", "a"]), False)

    def test_same_twice_3(self):
        self.assertEqual(same_twice([]), False)

    def test_days_since_1(self):
        self.assertEqual(days_since(["a", "b"], "a"), 1)

    def test_days_since_2(self):
        self.assertEqual(days_since(["a", "b"], "b"), 0)

    def test_days_since_3(self):
        self.assertEqual(days_since([], "a"), -1)

    def test_days_since_4(self):
        self.assertEqual(days_since(["a", "b", "a"], "a"), 0)

    def test_calories_1(self):
        self.assertEqual(calories({"rye": 200}, {"rye": 50}), 100)

    def test_calories_2(self):
        self.assertEqual(calories({"rye": 150, "egg": 10}, {"rye": 100}), 150)

    def test_calories_3(self):
        self.assertEqual(calories({}, {}), 0)

    def test_meal_of_1(self):
        self.assertEqual(meal_of(10), "breakfast")

    def test_meal_of_2(self):
        self.assertEqual(meal_of(11), "lunch")

    def test_meal_of_3(self):
        self.assertEqual(meal_of(16), "dinner")

    def test_meal_of_4(self):
        self.assertEqual(meal_of(15), "lunch")

    def test_within_diet_1(self):
        self.assertEqual(within_diet([500, 500], 1000), True)

    def test_within_diet_2(self):
        self.assertEqual(within_diet([500, 501], 1000), False)

    def test_within_diet_3(self):
        self.assertEqual(within_diet([], 0), True)

    def test_leftovers_1(self):
        self.assertEqual(leftovers(10, 3, 2), 4)

    def test_leftovers_2(self):
        self.assertEqual(leftovers(5, 3, 2), 0)

    def test_leftovers_3(self):
        self.assertEqual(leftovers(6, 3, 2), 0)

    def test_next_meal_1(self):
        self.assertEqual(next_meal("breakfast"), "lunch")

    def test_next_meal_2(self):
        self.assertEqual(next_meal("dinner"), "breakfast")

    def test_next_meal_3(self):
        self.assertEqual(next_meal("lunch"), "dinner")

    def test_is_fresh_1(self):
        self.assertEqual(is_fresh(3, False), True)

    def test_is_fresh_2(self):
        self.assertEqual(is_fresh(4, False), False)

    def test_is_fresh_3(self):
        self.assertEqual(is_fresh(90, True), True)

    def test_is_fresh_4(self):
        self.assertEqual(is_fresh(91, True), False)

    def test_bill_per_guest_1(self):
        self.assertEqual(bill_per_guest(10, 3), 4)

    def test_bill_per_guest_2(self):
        self.assertEqual(bill_per_guest(9, 3), 3)

    def test_bill_per_guest_3(self):
        self.assertEqual(bill_per_guest(10, 0), 10)

    def test_bill_per_guest_4(self):
        self.assertEqual(bill_per_guest(7, 1), 7)

    def test_vote_1(self):
        self.assertEqual(vote(["a", "b", "b"]), "b")

    def test_vote_2(self):
        self.assertEqual(vote(["a", "b"]), "a")

    def test_vote_3(self):
        self.assertEqual(vote(["c", "a", "c"]), "c")

    def test_sit_down_1(self):
        self.assertEqual(Table(4).sit_down(4), True)

    def test_sit_down_2(self):
        self.assertEqual(Table(4).sit_down(5), False)

    def test_sit_down_3(self):
        self.assertEqual(Table(2).sit_down(1), True)

    def test_free_seats_1(self):
        self.assertEqual(Table(4).free_seats(), 4)

    def test_free_seats_2(self):
        self.assertEqual(Table(0).free_seats(), 0)

    def test_free_seats_3(self):
        self.assertEqual(Table(7).free_seats(), 7)
