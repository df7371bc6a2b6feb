"""What counts as spending, told by an entry's ``kind``.

Nothing that only moves money about counts: what an account held to begin with, corrections of figures, and transfers
between a user's own accounts. In a category everything else counts, so that what comes in lowers what was spent there.
Of spending as a whole, what comes in lowers it only where it is money back: a refund, or a debit that is reversed. The
rest is income.
"""

OPENING = "OPENING"
ADJUSTMENT = "ADJUSTMENT"
INTERNAL_TRANSFER = "INTERNAL_TRANSFER"
REFUND = "REFUND"
TRANSFER = "TRANSFER"
"""Between two people: what goes out is spent, as with any other payee."""

ALL = "*"
"""Stands for all that is spent, where a category's id does: not the sum of the categories, which income may be in."""

MOVED_ABOUT = frozenset({OPENING, ADJUSTMENT, INTERNAL_TRANSFER})
"""Kinds of entries that are neither spending nor income."""


def spent_in_category(signed_minor: int, kind: str | None) -> int:
    """How much an entry, or a part of one, adds to what was spent in its category, in minor units."""
    return 0 if kind in MOVED_ABOUT else -signed_minor


def spent_in_all(signed_minor: int, kind: str | None, *, is_reversal: bool) -> int:
    """How much an entry adds to what was spent in all, in minor units."""
    if kind in MOVED_ABOUT:
        return 0
    # A reversal has the kind of what it takes back: it takes back whatever that added.
    was_spent = (signed_minor < 0) != is_reversal
    return -signed_minor if was_spent or kind == REFUND else 0
