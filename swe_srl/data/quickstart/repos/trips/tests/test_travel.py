from trips.travel import *
import unittest


class TestTravel(unittest.TestCase):
    def test_seat_name_1(self):
        self.assertEqual(seat_name(1), "1A")

    def test_seat_name_2(self):
        self.assertEqual(seat_name(4), "1D")

    def test_seat_name_3(self):
        self.assertEqual(seat_name(5), "2A")

    def test_seat_name_4(self):
        self.assertEqual(seat_name(10), "3B")

    def test_is_window_1(self):
        self.assertEqual(is_window("1A"), True)

    def test_is_window_2(self):
        self.assertEqual(is_window("2D"), True)

    def test_is_window_3(self):
        self.assertEqual(is_window("1B"), False)

    def test_open_seats_1(self):
        self.assertEqual(open_seats(4, [2]), [1, 3, 4])

    def test_open_seats_2(self):
        self.assertEqual(open_seats(2, []), [1, 2])

    def test_open_seats_3(self):
        self.assertEqual(open_seats(2, [1, 2]), [])

    def test_wagons_1(self):
        self.assertEqual(wagons(100, 50), 2)

    def test_wagons_2(self):
        self.assertEqual(wagons(101, 50), 3)

    def test_wagons_3(self):
        self.assertEqual(wagons(0, 50), 0)

    def test_wagons_4(self):
        self.assertEqual(wagons(3, 50), 1)

    def test_bag_fee_1(self):
        self.assertEqual(bag_fee(1, 20), 0)

    def test_bag_fee_2(self):
        self.assertEqual(bag_fee(3, 23), 40)

    def test_bag_fee_3(self):
        self.assertEqual(bag_fee(2, 24), 30)

    def test_bag_fee_4(self):
        self.assertEqual(bag_fee(0, 0), 0)

    def test_arrival_1(self):
        self.assertEqual(arrival(100, 50, 5), 155)

    def test_arrival_2(self):
        self.assertEqual(arrival(1430, 20, 0), 10)

    def test_arrival_3(self):
        self.assertEqual(arrival(0, 10, 0), 10)

    def test_catches_1(self):
        self.assertEqual(catches(100, 105, 5), True)

    def test_catches_2(self):
        self.assertEqual(catches(100, 105, 6), False)

    def test_catches_3(self):
        self.assertEqual(catches(90, 105, 5), True)

    def test_next_train_1(self):
        self.assertEqual(next_train([10, 50], 10), 10)

    def test_next_train_2(self):
        self.assertEqual(next_train([10, 50], 11), 50)

    def test_next_train_3(self):
        self.assertEqual(next_train([50, 10], 60), 10)

    def test_waiting_1(self):
        self.assertEqual(waiting([10, 50], 30), 20)

    def test_waiting_2(self):
        self.assertEqual(waiting([10, 50], 60), 1390)

    def test_waiting_3(self):
        self.assertEqual(waiting([10], 10), 0)

    def test_stops_between_1(self):
        self.assertEqual(stops_between(["a", "b", "c", "d"], "a", "d"), ["b", "c"])

    def test_stops_between_2(self):
        self.assertEqual(stops_between(["a", "b", "c"], "c", "a"), ["b"])

    def test_stops_between_3(self):
        self.assertEqual(stops_between(["a", "b"], "a", "b"), [])

    def test_is_express_1(self):
        self.assertEqual(is_express(["a", "c"], ["a", "b", "c", "d"]), True)

    def test_is_express_2(self):
        self.assertEqual(is_express(["b"], ["a", "b"]), False)

    def test_is_express_3(self):
        self.assertEqual(is_express(["a", "b"], ["a", "b", "c"]), False)

    def test_nights_1(self):
        self.assertEqual(nights(3, 5), 2)

    def test_nights_2(self):
        self.assertEqual(nights(5, 3), 0)

    def test_nights_3(self):
        self.assertEqual(nights(4, 4), 0)

    def test_advance_1(self):
        self.assertEqual(Trip(["a", "b", "c"]).advance(1), "b")

    def test_advance_2(self):
        self.assertEqual(Trip(["a", "b"]).advance(5), "b")

    def test_advance_3(self):
        self.assertEqual(Trip(["a"]).advance(0), "a")

    def test_advance_4(self):
        self.assertEqual(Trip(["a", "b", "c"]).advance(2), "c")

    def test_stops_left_1(self):
        self.assertEqual(Trip(["a", "b", "c"]).stops_left(), 2)

    def test_stops_left_2(self):
        self.assertEqual(Trip(["a"]).stops_left(), 0)

    def test_stops_left_3(self):
        self.assertEqual(Trip(["x", "y"]).stops_left(), 1)
