def scale_recipe(recipe, people, wanted):
    """Amounts for another number of people."""
    result = {}
    for name, amount in recipe.items():
        result[name] = amount * wanted // people
    return result


def needs_shopping(recipe, pantry):
    """What is missing and how much of it."""
    lacking = {}
    for name, amount in recipe.items():
        if pantry.get(name, 0) < amount:
            lacking[name] = amount - pantry.get(name, 0)
    return lacking


def can_cook(recipe, pantry):
    """Tell whether there is enough of everything."""
    short = [name for name in recipe if pantry.get(name, 0) < recipe[name]]
    return len(short) == 0


def to_grams(amount, unit):
    """Grams of an amount in g or kg."""
    if unit == "kg":
        return amount * 1000
    return amount


def show_amount(grams):
    if grams >= 1000 and grams % 1000 == 0:
        return f"{grams // 1000} kg"
    return f"{grams} g"


def total_time(steps):
    """Minutes of all steps of a recipe."""
    return sum(minutes for name, minutes in steps)


def slow_steps(steps, limit):
    """Names of the steps that take long."""
    return [name for name, minutes in steps if minutes > limit]


def is_vegan(names):
    """Tell whether nothing is from an animal."""
    animal = ["egg", "milk", "meat", "fish"]
    return not any(name in animal for name in names)


def swap_food(names, old, new):
    """One food in place of another."""
    return [new if name == old else name for name in names]


def portions(grams, each):
    """Full portions, at least one."""
    if each <= 0:
        return 1
    return max(grams // each, 1)


def parse_item(text):
    """Amount and name of a text such as 2 eggs."""
    first, space, rest = text.partition(" ")
    if first.isdigit():
        return (int(first), rest)
    return (1, text)


def shopping_list(recipes):
    """Names of all recipes, each once, sorted."""
    names = []
    for recipe in recipes:
        names.extend(recipe)
    return sorted(set(names))
