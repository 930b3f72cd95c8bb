from coins.change import *
import unittest


class TestChange(unittest.TestCase):
    def test_change_due_1(self):
        self.assertEqual(change_due(5, 10), 5)

    def test_change_due_2(self):
        self.assertEqual(change_due(10, 10), 0)

    def test_change_due_3(self):
        self.assertEqual(change_due(10, 7), 0)

    def test_change_due_4(self):
        self.assertEqual(change_due(0, 3), 3)

    def test_count_coins_1(self):
        self.assertEqual(count_coins(11, [1, 5, 10]), 2)

    def test_count_coins_2(self):
        self.assertEqual(count_coins(4, [1, 5]), 4)

    def test_count_coins_3(self):
        self.assertEqual(count_coins(0, [1]), 0)

    def test_count_coins_4(self):
        self.assertEqual(count_coins(15, [5, 10]), 2)

    def test_largest_coin_1(self):
        self.assertEqual(largest_coin(7, [1, 5, 10]), 5)

    def test_largest_coin_2(self):
        self.assertEqual(largest_coin(10, [1, 5, 10]), 10)

    def test_largest_coin_3(self):
        self.assertEqual(largest_coin(0, [1, 5]), 0)

    def test_coin_sum_1(self):
        self.assertEqual(coin_sum({1: 3, 10: 2}), 23)

    def test_coin_sum_2(self):
        self.assertEqual(coin_sum({}), 0)

    def test_coin_sum_3(self):
        self.assertEqual(coin_sum({5: 4}), 20)

    def test_split_bill_1(self):
        self.assertEqual(split_bill(10, 3), [4, 3, 3])

    def test_split_bill_2(self):
        self.assertEqual(split_bill(9, 3), [3, 3, 3])

    def test_split_bill_3(self):
        self.assertEqual(split_bill(1, 2), [1, 0])

    def test_split_bill_4(self):
        self.assertEqual(split_bill(11, 4), [3, 3, 3, 2])

    def test_tip_1(self):
        self.assertEqual(tip(100, 10, 5), 10)

    def test_tip_2(self):
        self.assertEqual(tip(20, 10, 5), 5)

    def test_tip_3(self):
        self.assertEqual(tip(50, 10, 5), 5)

    def test_deposit_1(self):
        self.assertEqual(Account(10, 0).deposit(5), 15)

    def test_deposit_2(self):
        self.assertEqual(Account(10, 0).deposit(-5), 10)

    def test_deposit_3(self):
        self.assertEqual(Account(0, 0).deposit(1), 1)

    def test_withdraw_1(self):
        self.assertEqual(Account(10, 0).withdraw(10), True)

    def test_withdraw_2(self):
        self.assertEqual(Account(10, 0).withdraw(11), False)

    def test_withdraw_3(self):
        self.assertEqual(Account(10, 5).withdraw(15), True)

    def test_withdraw_4(self):
        self.assertEqual(Account(0, 5).withdraw(6), False)

    def test_is_overdrawn_1(self):
        self.assertEqual(Account(0, 5).is_overdrawn(), False)

    def test_is_overdrawn_2(self):
        self.assertEqual(Account(-1, 5).is_overdrawn(), True)

    def test_is_overdrawn_3(self):
        self.assertEqual(Account(4, 5).is_overdrawn(), False)

    def test_savings_1(self):
        self.assertEqual(savings(10, 5, 3), 25)

    def test_savings_2(self):
        self.assertEqual(savings(0, 7, 0), 0)

    def test_savings_3(self):
        self.assertEqual(savings(1, 1, 1), 2)

    def test_months_to_reach_1(self):
        self.assertEqual(months_to_reach(100, 30), 4)

    def test_months_to_reach_2(self):
        self.assertEqual(months_to_reach(90, 30), 3)

    def test_months_to_reach_3(self):
        self.assertEqual(months_to_reach(5, 0), -1)

    def test_months_to_reach_4(self):
        self.assertEqual(months_to_reach(10, -1), -1)

    def test_owes_1(self):
        self.assertEqual(owes({"ann": -5, "bob": 3}), ["ann"])

    def test_owes_2(self):
        self.assertEqual(owes({"b": -1, "a": -2}), ["a", "b"])

    def test_owes_3(self):
        self.assertEqual(owes({"cid": 0}), [])
