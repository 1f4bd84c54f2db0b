"""The schedules of schedules.py, as teams have them: most run once a day or once an hour."""

import random

DAY_S = 86400
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")

# (share of all, what they are called, slots in a day, expression of a minute and an hour)
KINDS = (
    (0.60, "daily", 1, "{minute} {hour} * * *"),
    (0.25, "hourly", 24, "{minute} * * * *"),
    (0.12, "every 15 minutes", 96, "{quarter}-59/15 * * * *"),
    (0.03, "every 5 minutes", 288, "{five}-59/5 * * * *"),
)


def kind(i, count=100):
    """Row i of a hundred, so that each hundred has the whole mix."""
    place = i % count / count
    for share, *rest in KINDS:
        if place < share - 1e-9:
            return rest
        place -= share
    return KINDS[-1][1:]


def schedule(i):
    """(name, the array that understudy-manager(7) calls schedule) of row i; the same ever again."""
    draw = random.Random(i)
    name, _, text = kind(i)
    minute = draw.randrange(60)
    expression = text.format(minute=minute, hour=draw.randrange(24), quarter=minute % 15,
                             five=minute % 5)
    return f"{name.replace(' ', '-')}-{i:05}", [
        expression, draw.choice(ZONES), 0, 0, 0, 0, 0, 0, 10, 3600, 300, 0, 3600, 0, 2, 30, 600,
        False, False, 0]


def slots_per_second(count):
    return sum(kind(i)[1] for i in range(count)) / DAY_S


def words():
    return ", ".join(f"{share * 100:.0f} % {name}" for share, name, *_ in KINDS)
