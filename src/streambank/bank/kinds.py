"""What an entry's ``kind`` says of the money: whether somebody has earned or spent it, or only moved or found it."""

OPENING = "OPENING"
"""What was on an account before its first entry."""

ADJUSTMENT = "ADJUSTMENT"
"""A balance put right: nobody knows what for."""

OWN_TRANSFER = "OWN-TRANSFER"
"""From one account of a user to another of the same user."""

NEITHER_EARNED_NOR_SPENT = frozenset({OPENING, ADJUSTMENT, OWN_TRANSFER})


def is_flow(kind: str | None) -> bool:
    """Whether an entry of that kind is income or spending. A transfer between two people is."""
    return kind is None or kind.upper() not in NEITHER_EARNED_NOR_SPENT
