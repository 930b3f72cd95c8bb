def strong_password(text):
    """At least eight letters, among them a digit."""
    if len(text) < 8:
        return False
    return any(c.isdigit() for c in text)


def mask(text):
    """All but the last two letters hidden."""
    if len(text) <= 2:
        return text
    return "*" * (len(text) - 2) + text[-2:]


def tries_left(tries, limit):
    """Tries that remain before the lock shuts."""
    return max(limit - tries, 0)


def is_locked(tries, limit):
    """Too many tries shut a lock, limit 0 never does."""
    return limit > 0 and tries >= limit


def wait_time(tries):
    """Seconds to wait, doubled with each try after the third."""
    if tries <= 3:
        return 0
    return 2 ** (tries - 3)


def expired(now, start, days):
    """Tell whether more than some days have gone."""
    return now - start > days


def renew(end, now, days):
    """New last day, counted from today or the old end."""
    return max(end, now) + days


def match_rule(rule, path):
    """A star at the end of a rule stands for anything."""
    if rule.endswith("*"):
        return path.startswith(rule[:-1])
    return path == rule


def allowed(rules, path):
    """Tell whether any rule fits a path."""
    return any(match_rule(rule, path) for rule in rules)


def first_match(rules, path):
    """Place of the first rule that fits, or -1."""
    for i, rule in enumerate(rules):
        if match_rule(rule, path):
            return i
    return -1


def key_check(key):
    """A key has four parts of equal length."""
    parts = key.split("-")
    return len(parts) == 4 and all(len(p) == len(parts[0]) for p in parts)


def safe_name(name):
    kept = [c for c in name.lower() if c.isalnum()]
    return "".join(kept) or "user"
