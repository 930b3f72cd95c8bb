def has_role(user, role):
    """Tell whether a role is among the roles of a user."""
    return role in user.get("roles", [])


def role_level(role):
    """Power of a role, 0 for unknown ones."""
    order = ["guest", "member", "editor", "admin"]
    if role not in order:
        return 0
    return order.index(role) + 1


def highest_role(roles):
    best = "guest"
    for role in roles:
        if role_level(role) > role_level(best):
            best = role
    return best


def may_edit(role, owner, user):
    """Editors edit everything, others their own things."""
    return role_level(role) >= 3 or owner == user


def may_read(public, role):
    """Members read all, guests what is public."""
    return public or role_level(role) >= 2


def grant(roles, role):
    """Roles with one more, sorted."""
    if role in roles:
        return sorted(roles)
    return sorted(roles + [role])


def revoke(roles, role):
    """Roles without one of them."""
    left = list(roles)
    while role in left:
        left.remove(role)
    return left


def common_roles(first, second):
    """Roles that both have, in the order of the first."""
    return [role for role in first if role in second]


def admins(users):
    names = []
    for name in sorted(users):
        if "admin" in users[name]:
            names.append(name)
    return names


def can_promote(actor, target):
    """One may promote those who stand at least two below."""
    return role_level(actor) - role_level(target) >= 2


def mode_text(number):
    """Text such as rw- for 6."""
    letters = ["r", "w", "x"]
    bits = [number // 4 % 2, number // 2 % 2, number % 2]
    return "".join(c if bit else "-" for c, bit in zip(letters, bits))


def mode_number(text):
    total = 0
    for place, letter in enumerate(reversed(text)):
        if letter != "-":
            total += 2 ** place
    return total
