def percent(points, most):
    """Points in percent, rounded down."""
    if most == 0:
        return 0
    return points * 100 // most


def letter(score):
    """Letter for a score out of 100."""
    for low, name in [(90, "A"), (80, "B"), (70, "C")]:
        if score >= low:
            return name
    return "F"


def passed(score, needed):
    """Tell whether a score is enough."""
    return score >= needed


def clamp_score(score):
    """Keep a score between 0 and 100."""
    if score < 0:
        return 0
    return min(score, 100)


def curve(scores, bonus):
    """Add a bonus, at most 100."""
    return [min(score + bonus, 100) for score in scores]


def drop_lowest(scores):
    """The scores without the smallest one."""
    if len(scores) < 2:
        return scores
    lowest = scores.index(min(scores))
    return scores[:lowest] + scores[lowest + 1:]


def late_penalty(score, days):
    """Ten points off for each day, at most five days."""
    days = min(days, 5)
    return max(score - 10 * days, 0)


def weighted(parts):
    """Sum of score times weight, over the weights."""
    total = sum(score * weight for score, weight in parts)
    weights = sum(weight for score, weight in parts)
    return total // weights


def needs_retake(scores, needed):
    failed = [score for score in scores if score < needed]
    return len(failed) > 1


def grade_points(name):
    if name not in "ABCD":
        return 0
    return 4 - "ABCD".index(name)


def score_answers(answers, key):
    """Right answers minus nothing for wrong ones."""
    right = 0
    for given, wanted in zip(answers, key):
        if given == wanted:
            right += 1
    return right


def missing_work(done, total):
    """Numbers of the tasks that were not handed in."""
    return [i for i in range(1, total + 1) if i not in done]
