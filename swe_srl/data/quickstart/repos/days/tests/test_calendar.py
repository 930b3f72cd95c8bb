from days.calendar import *
import unittest


class TestCalendar(unittest.TestCase):
    def test_is_leap_1(self):
        self.assertEqual(is_leap(2024), True)

    def test_is_leap_2(self):
        self.assertEqual(is_leap(2023), False)

    def test_is_leap_3(self):
        self.assertEqual(is_leap(1900), False)

    def test_is_leap_4(self):
        self.assertEqual(is_leap(2000), True)

    def test_month_days_1(self):
        self.assertEqual(month_days(2024, 2), 29)

    def test_month_days_2(self):
        self.assertEqual(month_days(2023, 2), 28)

    def test_month_days_3(self):
        self.assertEqual(month_days(2024, 4), 30)

    def test_month_days_4(self):
        self.assertEqual(month_days(2024, 12), 31)

    def test_month_days_5(self):
        self.assertEqual(month_days(2023, 1), 31)

    def test_year_days_1(self):
        self.assertEqual(year_days(2024), 366)

    def test_year_days_2(self):
        self.assertEqual(year_days(2023), 365)

    def test_year_days_3(self):
        self.assertEqual(year_days(2100), 365)

    def test_day_of_year_1(self):
        self.assertEqual(day_of_year(2023, 1, 5), 5)

    def test_day_of_year_2(self):
        self.assertEqual(day_of_year(2023, 3, 1), 60)

    def test_day_of_year_3(self):
        self.assertEqual(day_of_year(2024, 3, 1), 61)

    def test_day_of_year_4(self):
        self.assertEqual(day_of_year(2023, 12, 31), 365)

    def test_is_weekend_1(self):
        self.assertEqual(is_weekend(5), True)

    def test_is_weekend_2(self):
        self.assertEqual(is_weekend(4), False)

    def test_is_weekend_3(self):
        self.assertEqual(is_weekend(6), True)

    def test_is_weekend_4(self):
        self.assertEqual(is_weekend(0), False)

    def test_next_weekday_1(self):
        self.assertEqual(next_weekday(0, 1), 1)

    def test_next_weekday_2(self):
        self.assertEqual(next_weekday(6, 1), 0)

    def test_next_weekday_3(self):
        self.assertEqual(next_weekday(3, 14), 3)

    def test_next_weekday_4(self):
        self.assertEqual(next_weekday(5, 4), 2)

    def test_weekday_name_1(self):
        self.assertEqual(weekday_name(0), "Mon")

    def test_weekday_name_2(self):
        self.assertEqual(weekday_name(6), "Sun")

    def test_weekday_name_3(self):
        self.assertEqual(weekday_name(7), "?")

    def test_weekday_name_4(self):
        self.assertEqual(weekday_name(-1), "?")

    def test_weekday_name_5(self):
        self.assertEqual(weekday_name(3), "Thu")

    def test_quarter_1(self):
        self.assertEqual(quarter(1), 1)

    def test_quarter_2(self):
        self.assertEqual(quarter(3), 1)

    def test_quarter_3(self):
        self.assertEqual(quarter(4), 2)

    def test_quarter_4(self):
        self.assertEqual(quarter(12), 4)

    def test_next_month_1(self):
        self.assertEqual(next_month(2024, 12), (2025, 1))

    def test_next_month_2(self):
        self.assertEqual(next_month(2024, 11), (2024, 12))

    def test_next_month_3(self):
        self.assertEqual(next_month(2023, 1), (2023, 2))

    def test_valid_date_1(self):
        self.assertEqual(valid_date(2023, 2, 28), True)

    def test_valid_date_2(self):
        self.assertEqual(valid_date(2023, 2, 29), False)

    def test_valid_date_3(self):
        self.assertEqual(valid_date(2024, 0, 1), False)

    def test_valid_date_4(self):
        self.assertEqual(valid_date(2024, 12, 1), True)

    def test_valid_date_5(self):
        self.assertEqual(valid_date(2024, 13, 5), False)

    def test_parse_date_1(self):
        self.assertEqual(parse_date("2024-03-09"), (2024, 3, 9))

    def test_parse_date_2(self):
        self.assertEqual(parse_date("2024-03"), None)

    def test_parse_date_3(self):
        self.assertEqual(parse_date("1999-12-31"), (1999, 12, 31))

    def test_century_1(self):
        self.assertEqual(century(2000), 20)

    def test_century_2(self):
        self.assertEqual(century(2001), 21)

    def test_century_3(self):
        self.assertEqual(century(1850), 19)

    def test_century_4(self):
        self.assertEqual(century(100), 1)

    def test_months_between_1(self):
        self.assertEqual(months_between((2023, 1), (2024, 1)), 12)

    def test_months_between_2(self):
        self.assertEqual(months_between((2023, 5), (2023, 2)), -3)

    def test_months_between_3(self):
        self.assertEqual(months_between((2022, 11), (2024, 2)), 15)
