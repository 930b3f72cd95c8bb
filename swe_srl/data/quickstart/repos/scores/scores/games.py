def match_points(goals, against):
    """Three points for a win, one for a draw."""
    if goals > against:
        return 3
    if goals == against:
        return 1
    return 0


def winner(goals):
    """Name of the team with more goals, None for a draw."""
    (first, a), (second, b) = sorted(goals.items())
    if a == b:
        return None
    return first if a > b else second


def goal_difference(results):
    """Goals minus goals against."""
    return sum(goals - against for goals, against in results)


def parse_result(text):
    """Goals of a text such as 3:1."""
    goals, against = text.split(":")
    return (int(goals), int(against))


def show_result(goals, against):
    if goals < against:
        goals, against = against, goals
    return f"{goals}:{against}"


def wins(results):
    """Number of games that were won."""
    return len([goals for goals, against in results if goals > against])


def unbeaten(results):
    """Tell whether no game was lost."""
    return all(goals >= against for goals, against in results)


def streak(letters):
    """Length of the run of W at the end."""
    count = 0
    for letter in reversed(letters):
        if letter != "W":
            break
        count += 1
    return count


def set_won(games, other):
    """Six games win a set when two ahead, seven always."""
    if games == 7:
        return True
    return games == 6 and games - other >= 2


def tennis_points(points):
    names = ["0", "15", "30", "40"]
    if points > 3:
        return "game"
    return names[points]


def match_over(first, second, needed):
    """Tell whether one side has enough."""
    return first >= needed or second >= needed


def bonus(points, level):
    """Extra points from level three on."""
    if level < 3:
        return points
    return points + 10 * (level - 2)
