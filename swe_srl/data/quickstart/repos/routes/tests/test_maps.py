from routes.maps import *
import unittest


class TestMaps(unittest.TestCase):
    def test_roads_from_1(self):
        self.assertEqual(roads_from([("a", "b"), ("c", "a")], "a"), ["b", "c"])

    def test_roads_from_2(self):
        self.assertEqual(roads_from([("a", "b")], "b"), ["a"])

    def test_roads_from_3(self):
        self.assertEqual(roads_from([], "a"), [])

    def test_is_linked_1(self):
        self.assertEqual(is_linked([("a", "b")], "b", "a"), True)

    def test_is_linked_2(self):
        self.assertEqual(is_linked([("a", "b")], "a", "c"), False)

    def test_is_linked_3(self):
        self.assertEqual(is_linked([("a", "b")], "a", "b"), True)

    def test_towns_1(self):
        self.assertEqual(towns([("a", "b"), ("c", "a")]), ["a", "b", "c"])

    def test_towns_2(self):
        self.assertEqual(towns([]), [])

    def test_towns_3(self):
        self.assertEqual(towns([("x", "y")]), ["x", "y"])

    def test_route_length_1(self):
        self.assertEqual(route_length(["a", "b", "c"], {("a", "b"): 5, ("b", "c"): 7}), 12)

    def test_route_length_2(self):
        self.assertEqual(route_length(["a"], {}), 0)

    def test_route_length_3(self):
        self.assertEqual(route_length(["a", "b"], {("a", "b"): 4}), 4)

    def test_hops_1(self):
        self.assertEqual(hops(["a", "b", "c"]), 2)

    def test_hops_2(self):
        self.assertEqual(hops(["a"]), 0)

    def test_hops_3(self):
        self.assertEqual(hops([]), 0)

    def test_is_round_trip_1(self):
        self.assertEqual(is_round_trip(["a", "b", "a"]), True)

    def test_is_round_trip_2(self):
        self.assertEqual(is_round_trip(["a"]), False)

    def test_is_round_trip_3(self):
        self.assertEqual(is_round_trip(["a", "b"]), False)

    def test_dead_ends_1(self):
        self.assertEqual(dead_ends([("a", "b"), ("b", "c")]), ["a", "c"])

    def test_dead_ends_2(self):
        self.assertEqual(dead_ends([("a", "b"), ("b", "a")]), [])

    def test_dead_ends_3(self):
        self.assertEqual(dead_ends([("x", "y")]), ["x", "y"])

    def test_shorter_route_1(self):
        self.assertEqual(shorter_route(["a", "b"], ["a"]), ["a"])

    def test_shorter_route_2(self):
        self.assertEqual(shorter_route(["a"], ["b"]), ["a"])

    def test_shorter_route_3(self):
        self.assertEqual(shorter_route(["a"], ["a", "b"]), ["a"])

    def test_skip_stop_1(self):
        self.assertEqual(skip_stop(["a", "b", "c"], "b"), ["a", "c"])

    def test_skip_stop_2(self):
        self.assertEqual(skip_stop(["a", "b", "a"], "a"), ["a", "b", "a"])

    def test_skip_stop_3(self):
        self.assertEqual(skip_stop(["a", "b", "c", "b"], "b"), ["a", "c", "b"])

    def test_way_back_1(self):
        self.assertEqual(way_back(["a", "b", "c"]), ["c", "b", "a"])

    def test_way_back_2(self):
        self.assertEqual(way_back(["a"]), ["a"])

    def test_way_back_3(self):
        self.assertEqual(way_back(["a", "b"]), ["b", "a"])

    def test_travel_time_1(self):
        self.assertEqual(travel_time(60, 30), 120)

    def test_travel_time_2(self):
        self.assertEqual(travel_time(10, 7), 86)

    def test_travel_time_3(self):
        self.assertEqual(travel_time(0, 50), 0)

    def test_fuel_stops_1(self):
        self.assertEqual(fuel_stops(100, 100), 0)

    def test_fuel_stops_2(self):
        self.assertEqual(fuel_stops(101, 100), 1)

    def test_fuel_stops_3(self):
        self.assertEqual(fuel_stops(200, 100), 1)

    def test_fuel_stops_4(self):
        self.assertEqual(fuel_stops(50, 100), 0)
