def add_result(table, team, points):
    """Add points to a team of the table."""
    table[team] = table.get(team, 0) + points
    return table


def leaders(table):
    """Teams that share the most points, sorted."""
    if not table:
        return []
    most = max(table.values())
    return sorted(team for team in table if table[team] == most)


def standings(table):
    """Teams from most to fewest points."""
    return sorted(table, key=lambda team: (-table[team], team))


def place(table, team):
    """Place of a team, the best has 1."""
    return standings(table).index(team) + 1


def relegated(table, count):
    """The last teams of the table."""
    if count == 0:
        return []
    return standings(table)[-count:]


def rounds_needed(teams):
    """An odd number of teams needs one round more."""
    if teams % 2 == 1:
        return teams
    return teams - 1


def games_count(teams, legs):
    """Games when each team meets each other team."""
    return teams * (teams - 1) // 2 * legs


def cup_rounds(teams):
    rounds = 0
    while teams > 1:
        teams = (teams + 1) // 2
        rounds += 1
    return rounds


def points_behind(table, team):
    best = max(table.values())
    return best - table[team]


def can_win(points, games_left, best):
    """Tell whether a team may still reach the best."""
    return points + 3 * games_left >= best


def pairings(teams):
    result = []
    for i in range(len(teams)):
        for other in teams[i + 1:]:
            result.append((teams[i], other))
    return result


def seeds(teams):
    """The first plays the last, the second the last but one."""
    half = len(teams) // 2
    return [(teams[i], teams[-1 - i]) for i in range(half)]
