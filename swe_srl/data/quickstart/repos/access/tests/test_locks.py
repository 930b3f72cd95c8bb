from access.locks import *
import unittest


class TestLocks(unittest.TestCase):
    def test_strong_password_1(self):
        self.assertEqual(strong_password("abcdefg1"), True)

    def test_strong_password_2(self):
        self.assertEqual(strong_password("abcdef1"), False)

    def test_strong_password_3(self):
        self.assertEqual(strong_password("abcdefgh"), False)

    def test_strong_password_4(self):
        self.assertEqual(strong_password("12345678"), True)

    def test_mask_1(self):
        self.assertEqual(mask("secret"), "****et")

    def test_mask_2(self):
        self.assertEqual(mask("ab"), "ab")

    def test_mask_3(self):
        self.assertEqual(mask("abc"), "*bc")

    def test_mask_4(self):
        self.assertEqual(mask(""), "")

    def test_tries_left_1(self):
        self.assertEqual(tries_left(1, 3), 2)

    def test_tries_left_2(self):
        self.assertEqual(tries_left(3, 3), 0)

    def test_tries_left_3(self):
        self.assertEqual(tries_left(5, 3), 0)

    def test_is_locked_1(self):
        self.assertEqual(is_locked(3, 3), True)

    def test_is_locked_2(self):
        self.assertEqual(is_locked(2, 3), False)

    def test_is_locked_3(self):
        self.assertEqual(is_locked(5, 0), False)

    def test_is_locked_4(self):
        self.assertEqual(is_locked(1, 1), True)

    def test_wait_time_1(self):
        self.assertEqual(wait_time(3), 0)

    def test_wait_time_2(self):
        self.assertEqual(wait_time(4), 2)

    def test_wait_time_3(self):
        self.assertEqual(wait_time(6), 8)

    def test_wait_time_4(self):
        self.assertEqual(wait_time(0), 0)

    def test_expired_1(self):
        self.assertEqual(expired(10, 5, 5), False)

    def test_expired_2(self):
        self.assertEqual(expired(11, 5, 5), True)

    def test_expired_3(self):
        self.assertEqual(expired(5, 5, 1), False)

    def test_renew_1(self):
        self.assertEqual(renew(10, 5, 30), 40)

    def test_renew_2(self):
        self.assertEqual(renew(5, 10, 30), 40)

    def test_renew_3(self):
        self.assertEqual(renew(3, 3, 1), 4)

    def test_match_rule_1(self):
        self.assertEqual(match_rule("/a/*", "/a/b"), True)

    def test_match_rule_2(self):
        self.assertEqual(match_rule("/a", "/a/b"), False)

    def test_match_rule_3(self):
        self.assertEqual(match_rule("/a", "/a"), True)

    def test_match_rule_4(self):
        self.assertEqual(match_rule("*", "/x"), True)

    def test_allowed_1(self):
        self.assertEqual(allowed(["/a/*", "/b"], "/b"), True)

    def test_allowed_2(self):
        self.assertEqual(allowed(["/a/*"], "/b"), False)

    def test_allowed_3(self):
        self.assertEqual(allowed([], "/a"), False)

    def test_allowed_4(self):
        self.assertEqual(allowed(["/a", "/b*"], "/bc"), True)

    def test_first_match_1(self):
        self.assertEqual(first_match(["/b", "/a/*"], "/a/c"), 1)

    def test_first_match_2(self):
        self.assertEqual(first_match(["/b"], "/a"), -1)

    def test_first_match_3(self):
        self.assertEqual(first_match(["*", "/a"], "/a"), 0)

    def test_key_check_1(self):
        self.assertEqual(key_check("ab-cd-ef-gh"), True)

    def test_key_check_2(self):
        self.assertEqual(key_check("ab-cd-ef"), False)

    def test_key_check_3(self):
        self.assertEqual(key_check("ab-c-ef-gh"), False)

    def test_key_check_4(self):
        self.assertEqual(key_check("a-b-c-d-e"), False)

    def test_safe_name_1(self):
        self.assertEqual(safe_name("Ann B."), "annb")

    def test_safe_name_2(self):
        self.assertEqual(safe_name("..."), "user")

    def test_safe_name_3(self):
        self.assertEqual(safe_name("x1-y2"), "x1y2")
