from songs.lengths import *
import unittest


class TestLengths(unittest.TestCase):
    def test_to_seconds_1(self):
        self.assertEqual(to_seconds(3, 5), 185)

    def test_to_seconds_2(self):
        self.assertEqual(to_seconds(0, 59), 59)

    def test_to_seconds_3(self):
        self.assertEqual(to_seconds(10, 0), 600)

    def test_show_length_1(self):
        self.assertEqual(show_length(185), "3:05")

    def test_show_length_2(self):
        self.assertEqual(show_length(60), "1:00")

    def test_show_length_3(self):
        self.assertEqual(show_length(75), "1:15")

    def test_show_length_4(self):
        self.assertEqual(show_length(9), "0:09")

    def test_parse_length_1(self):
        self.assertEqual(parse_length("3:05"), 185)

    def test_parse_length_2(self):
        self.assertEqual(parse_length("0:59"), 59)

    def test_parse_length_3(self):
        self.assertEqual(parse_length("10:00"), 600)

    def test_play_time_1(self):
        self.assertEqual(play_time([100, 50], 5), 155)

    def test_play_time_2(self):
        self.assertEqual(play_time([], 5), 0)

    def test_play_time_3(self):
        self.assertEqual(play_time([80], 5), 80)

    def test_play_time_4(self):
        self.assertEqual(play_time([1, 1, 1], 2), 7)

    def test_is_single_1(self):
        self.assertEqual(is_single(3, 500), True)

    def test_is_single_2(self):
        self.assertEqual(is_single(4, 500), False)

    def test_is_single_3(self):
        self.assertEqual(is_single(2, 600), False)

    def test_is_single_4(self):
        self.assertEqual(is_single(1, 599), True)

    def test_longest_song_1(self):
        self.assertEqual(longest_song({"a": 100, "b": 200}), "b")

    def test_longest_song_2(self):
        self.assertEqual(longest_song({}), "")

    def test_longest_song_3(self):
        self.assertEqual(longest_song({"b": 90, "a": 90}), "a")

    def test_fit_songs_1(self):
        self.assertEqual(fit_songs([100, 50, 30], 150), 2)

    def test_fit_songs_2(self):
        self.assertEqual(fit_songs([100], 99), 0)

    def test_fit_songs_3(self):
        self.assertEqual(fit_songs([], 10), 0)

    def test_fit_songs_4(self):
        self.assertEqual(fit_songs([10, 10], 25), 2)

    def test_time_left_1(self):
        self.assertEqual(time_left(200, 50), 150)

    def test_time_left_2(self):
        self.assertEqual(time_left(200, 200), 0)

    def test_time_left_3(self):
        self.assertEqual(time_left(10, 15), 0)

    def test_progress_1(self):
        self.assertEqual(progress(50, 200), 25)

    def test_progress_2(self):
        self.assertEqual(progress(0, 0), 100)

    def test_progress_3(self):
        self.assertEqual(progress(300, 200), 100)

    def test_progress_4(self):
        self.assertEqual(progress(1, 3), 33)

    def test_speed_up_1(self):
        self.assertEqual(speed_up(120, 20), 100)

    def test_speed_up_2(self):
        self.assertEqual(speed_up(100, 0), 100)

    def test_speed_up_3(self):
        self.assertEqual(speed_up(99, 10), 90)

    def test_beats_1(self):
        self.assertEqual(beats(60, 120), 120)

    def test_beats_2(self):
        self.assertEqual(beats(30, 90), 45)

    def test_beats_3(self):
        self.assertEqual(beats(10, 100), 16)

    def test_short_songs_1(self):
        self.assertEqual(short_songs({"b": 50, "a": 60, "c": 99}, 99), ["a", "b"])

    def test_short_songs_2(self):
        self.assertEqual(short_songs({}, 10), [])

    def test_short_songs_3(self):
        self.assertEqual(short_songs({"x": 10}, 5), [])
