from access.roles import *
import unittest


class TestRoles(unittest.TestCase):
    def test_has_role_1(self):
        self.assertEqual(has_role({"roles": ["admin"]}, "admin"), True)

    def test_has_role_2(self):
        self.assertEqual(has_role({}, "admin"), False)

    def test_has_role_3(self):
        self.assertEqual(has_role({"roles": ["guest"]}, "admin"), False)

    def test_role_level_1(self):
        self.assertEqual(role_level("guest"), 1)

    def test_role_level_2(self):
        self.assertEqual(role_level("admin"), 4)

    def test_role_level_3(self):
        self.assertEqual(role_level("king"), 0)

    def test_role_level_4(self):
        self.assertEqual(role_level("editor"), 3)

    def test_highest_role_1(self):
        self.assertEqual(highest_role(["member", "admin"]), "admin")

    def test_highest_role_2(self):
        self.assertEqual(highest_role([]), "guest")

    def test_highest_role_3(self):
        self.assertEqual(highest_role(["editor", "member"]), "editor")

    def test_may_edit_1(self):
        self.assertEqual(may_edit("editor", "ann", "bob"), True)

    def test_may_edit_2(self):
        self.assertEqual(may_edit("guest", "ann", "bob"), False)

    def test_may_edit_3(self):
        self.assertEqual(may_edit("guest", "ann", "ann"), True)

    def test_may_edit_4(self):
        self.assertEqual(may_edit("member", "bob", "ann"), False)

    def test_may_read_1(self):
        self.assertEqual(may_read(True, "guest"), True)

    def test_may_read_2(self):
        self.assertEqual(may_read(False, "guest"), False)

    def test_may_read_3(self):
        self.assertEqual(may_read(False, "member"), True)

    def test_grant_1(self):
        self.assertEqual(grant(["member"], "editor"), ["editor", "member"])

    def test_grant_2(self):
        self.assertEqual(grant(["member"], "member"), ["member"])

    def test_grant_3(self):
        self.assertEqual(grant([], "admin"), ["admin"])

    def test_grant_4(self):
        self.assertEqual(grant(["guest", "admin"], "admin"), ["admin", "guest"])

    def test_revoke_1(self):
        self.assertEqual(revoke(["a", "b"], "a"), ["b"])

    def test_revoke_2(self):
        self.assertEqual(revoke(["a"], "b"), ["a"])

    def test_revoke_3(self):
        self.assertEqual(revoke([], "a"), [])

    def test_revoke_4(self):
        self.assertEqual(revoke(["b", "a", "b"], "b"), ["a"])

    def test_common_roles_1(self):
        self.assertEqual(common_roles(["a", "b", "c"], ["c", "b"]), ["b", "c"])

    def test_common_roles_2(self):
        self.assertEqual(common_roles([], ["a"]), [])

    def test_common_roles_3(self):
        self.assertEqual(common_roles(["a"], ["b"]), [])

    def test_admins_1(self):
        self.assertEqual(admins({"bob": ["admin"], "ann": ["guest"]}), ["bob"])

    def test_admins_2(self):
        self.assertEqual(admins({"b": ["admin"], "a": ["admin"]}), ["a", "b"])

    def test_admins_3(self):
        self.assertEqual(admins({}), [])

    def test_can_promote_1(self):
        self.assertEqual(can_promote("admin", "member"), True)

    def test_can_promote_2(self):
        self.assertEqual(can_promote("admin", "editor"), False)

    def test_can_promote_3(self):
        self.assertEqual(can_promote("editor", "guest"), True)

    def test_can_promote_4(self):
        self.assertEqual(can_promote("guest", "admin"), False)

    def test_mode_text_1(self):
        self.assertEqual(mode_text(6), "rw-")

    def test_mode_text_2(self):
        self.assertEqual(mode_text(0), "---")

    def test_mode_text_3(self):
        self.assertEqual(mode_text(7), "rwx")

    def test_mode_text_4(self):
        self.assertEqual(mode_text(1), "--x")

    def test_mode_number_1(self):
        self.assertEqual(mode_number("rw-"), 6)

    def test_mode_number_2(self):
        self.assertEqual(mode_number("---"), 0)

    def test_mode_number_3(self):
        self.assertEqual(mode_number("r-x"), 5)

    def test_mode_number_4(self):
        self.assertEqual(mode_number("--x"), 1)
