from meals.recipes import *
import unittest


class TestRecipes(unittest.TestCase):
    def test_scale_recipe_1(self):
        self.assertEqual(scale_recipe({"egg": 2}, 2, 4), {"egg": 4})

    def test_scale_recipe_2(self):
        self.assertEqual(scale_recipe({"egg": 3}, 2, 1), {"egg": 1})

    def test_scale_recipe_3(self):
        self.assertEqual(scale_recipe({}, 2, 4), {})

    def test_needs_shopping_1(self):
        self.assertEqual(needs_shopping({"egg": 3}, {"egg": 1}), {"egg": 2})

    def test_needs_shopping_2(self):
        self.assertEqual(needs_shopping({"egg": 3}, {"egg": 3}), {})

    def test_needs_shopping_3(self):
        self.assertEqual(needs_shopping({"rye": 5}, {}), {"rye": 5})

    def test_can_cook_1(self):
        self.assertEqual(can_cook({"egg": 2}, {"egg": 2}), True)

    def test_can_cook_2(self):
        self.assertEqual(can_cook({"egg": 2}, {"egg": 1}), False)

    def test_can_cook_3(self):
        self.assertEqual(can_cook({}, {}), True)

    def test_can_cook_4(self):
        self.assertEqual(can_cook({"egg": 1}, {"rye": 5}), False)

    def test_to_grams_1(self):
        self.assertEqual(to_grams(2, "kg"), 2000)

    def test_to_grams_2(self):
        self.assertEqual(to_grams(500, "g"), 500)

    def test_to_grams_3(self):
        self.assertEqual(to_grams(0, "kg"), 0)

    def test_show_amount_1(self):
        self.assertEqual(show_amount(2000), "2 kg")

    def test_show_amount_2(self):
        self.assertEqual(show_amount(500), "500 g")

    def test_show_amount_3(self):
        self.assertEqual(show_amount(1500), "1500 g")

    def test_show_amount_4(self):
        self.assertEqual(show_amount(0), "0 g")

    def test_total_time_1(self):
        self.assertEqual(total_time([("cut", 5), ("fry", 10)]), 15)

    def test_total_time_2(self):
        self.assertEqual(total_time([]), 0)

    def test_total_time_3(self):
        self.assertEqual(total_time([("boil", 8)]), 8)

    def test_slow_steps_1(self):
        self.assertEqual(slow_steps([("cut", 5), ("fry", 10)], 5), ["fry"])

    def test_slow_steps_2(self):
        self.assertEqual(slow_steps([], 5), [])

    def test_slow_steps_3(self):
        self.assertEqual(slow_steps([("rest", 60), ("bake", 30)], 20), ["rest", "bake"])

    def test_is_vegan_1(self):
        self.assertEqual(is_vegan(["rice", "peas"]), True)

    def test_is_vegan_2(self):
        self.assertEqual(is_vegan(["rice", "egg"]), False)

    def test_is_vegan_3(self):
        self.assertEqual(is_vegan([]), True)

    def test_swap_food_1(self):
        self.assertEqual(swap_food(["egg", "rice"], "egg", "tofu"), ["tofu", "rice"])

    def test_swap_food_2(self):
        self.assertEqual(swap_food(["rice"], "egg", "tofu"), ["rice"])

    def test_swap_food_3(self):
        self.assertEqual(swap_food([], "egg", "tofu"), [])

    def test_portions_1(self):
        self.assertEqual(portions(500, 200), 2)

    def test_portions_2(self):
        self.assertEqual(portions(100, 200), 1)

    def test_portions_3(self):
        self.assertEqual(portions(100, 0), 1)

    def test_portions_4(self):
        self.assertEqual(portions(400, 200), 2)

    def test_parse_item_1(self):
        self.assertEqual(parse_item("2 eggs"), (2, "eggs"))

    def test_parse_item_2(self):
        self.assertEqual(parse_item("salt"), (1, "salt"))

    def test_parse_item_3(self):
        self.assertEqual(parse_item("12 red peas"), (12, "red peas"))

    def test_shopping_list_1(self):
        self.assertEqual(shopping_list([["egg", "rye"], ["egg"]]), ["egg", "rye"])

    def test_shopping_list_2(self):
        self.assertEqual(shopping_list([]), [])

    def test_shopping_list_3(self):
        self.assertEqual(shopping_list([["b", "a"]]), ["a", "b"])
