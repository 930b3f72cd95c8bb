from loans.books import *
import unittest


class TestBooks(unittest.TestCase):
    def test_is_isbn_1(self):
        self.assertEqual(is_isbn("12-3456-7890"), True)

    def test_is_isbn_2(self):
        self.assertEqual(is_isbn("123456789"), False)

    def test_is_isbn_3(self):
        self.assertEqual(is_isbn("123456789x"), False)

    def test_is_isbn_4(self):
        self.assertEqual(is_isbn("1234567890"), True)

    def test_sort_title_1(self):
        self.assertEqual(sort_title("The Sea"), "Sea, The")

    def test_sort_title_2(self):
        self.assertEqual(sort_title("Thebes"), "Thebes")

    def test_sort_title_3(self):
        self.assertEqual(sort_title("Sea"), "Sea")

    def test_shelf_code_1(self):
        self.assertEqual(shelf_code("Woolf", 1925), "WOO25")

    def test_shelf_code_2(self):
        self.assertEqual(shelf_code("Eco", 2001), "ECO01")

    def test_shelf_code_3(self):
        self.assertEqual(shelf_code("Li", 1999), "LI99")

    def test_reading_days_1(self):
        self.assertEqual(reading_days(100, 30), 4)

    def test_reading_days_2(self):
        self.assertEqual(reading_days(90, 30), 3)

    def test_reading_days_3(self):
        self.assertEqual(reading_days(50, 0), -1)

    def test_reading_days_4(self):
        self.assertEqual(reading_days(10, -1), -1)

    def test_pages_left_1(self):
        self.assertEqual(pages_left(100, 30), 70)

    def test_pages_left_2(self):
        self.assertEqual(pages_left(100, 100), 0)

    def test_pages_left_3(self):
        self.assertEqual(pages_left(50, 80), 0)

    def test_is_thick_1(self):
        self.assertEqual(is_thick(500, 499), True)

    def test_is_thick_2(self):
        self.assertEqual(is_thick(500, 500), False)

    def test_is_thick_3(self):
        self.assertEqual(is_thick(10, 50), False)

    def test_by_year_1(self):
        self.assertEqual(by_year({"b": 1990, "a": 2000}, 1990, 2000), ["a", "b"])

    def test_by_year_2(self):
        self.assertEqual(by_year({"a": 1989}, 1990, 2000), [])

    def test_by_year_3(self):
        self.assertEqual(by_year({"c": 1995, "d": 2001}, 1990, 2000), ["c"])

    def test_oldest_book_1(self):
        self.assertEqual(oldest_book({"a": 1990, "b": 1980}), "b")

    def test_oldest_book_2(self):
        self.assertEqual(oldest_book({}), None)

    def test_oldest_book_3(self):
        self.assertEqual(oldest_book({"b": 5, "a": 5}), "a")

    def test_find_titles_1(self):
        self.assertEqual(find_titles(["The Sea", "Land"], "sea"), ["The Sea"])

    def test_find_titles_2(self):
        self.assertEqual(find_titles(["Land"], "AN"), ["Land"])

    def test_find_titles_3(self):
        self.assertEqual(find_titles([], "a"), [])

    def test_copies_1(self):
        self.assertEqual(copies(["a", "b", "a"], "a"), 2)

    def test_copies_2(self):
        self.assertEqual(copies([], "a"), 0)

    def test_copies_3(self):
        self.assertEqual(copies(["b"], "a"), 0)

    def test_shelf_width_1(self):
        self.assertEqual(shelf_width([3, 4], 1), 8)

    def test_shelf_width_2(self):
        self.assertEqual(shelf_width([], 1), 0)

    def test_shelf_width_3(self):
        self.assertEqual(shelf_width([5], 2), 5)

    def test_shelf_width_4(self):
        self.assertEqual(shelf_width([1, 1, 1], 2), 7)

    def test_author_name_1(self):
        self.assertEqual(author_name("Woolf, Virginia"), "Virginia Woolf")

    def test_author_name_2(self):
        self.assertEqual(author_name("Homer"), "Homer")

    def test_author_name_3(self):
        self.assertEqual(author_name("Eco, U"), "U Eco")
