def change_due(price, paid):
    """Money to give back, 0 when too little was paid."""
    if paid <= price:
        return 0
    return paid - price


def count_coins(amount, sizes):
    """Number of coins when large coins are used first."""
    count = 0
    for size in sorted(sizes, reverse=True):
        count += amount // size
        amount = amount % size
    return count


def largest_coin(amount, sizes):
    fitting = [size for size in sizes if size <= amount]
    if not fitting:
        return 0
    return max(fitting)


def coin_sum(purse):
    """Worth of a purse that maps coin to number."""
    return sum(coin * number for coin, number in purse.items())


def split_bill(total, people):
    """Equal shares, the first ones pay what is left over."""
    share = total // people
    extra = total % people
    return [share + 1] * extra + [share] * (people - extra)


def tip(bill, percent, lowest):
    amount = bill * percent // 100
    if amount < lowest:
        return lowest
    return amount


class Account:
    def __init__(self, balance, limit):
        self.balance = balance
        self.limit = limit

    def deposit(self, amount):
        """Put money in, return the new balance."""
        if amount > 0:
            self.balance += amount
        return self.balance

    def withdraw(self, amount):
        if self.balance - amount < -self.limit:
            return False
        self.balance -= amount
        return True

    def is_overdrawn(self):
        return self.balance < 0


def savings(start, monthly, months):
    total = start
    for month in range(months):
        total += monthly
    return total


def months_to_reach(goal, monthly):
    """Months until a goal is saved, -1 for never."""
    if monthly <= 0:
        return -1
    return (goal + monthly - 1) // monthly


def owes(balances):
    """Names with a negative balance, sorted."""
    return sorted(name for name in balances if balances[name] < 0)
