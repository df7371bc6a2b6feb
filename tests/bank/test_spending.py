"""What counts as spending, as a table."""

import pytest

from streambank.bank.spending import spent_in_all, spent_in_category


@pytest.mark.parametrize(
    ("signed", "kind", "is_reversal", "in_category", "in_all"),
    [
        pytest.param(-10, "CARD_PAYMENT", False, 10, 10, id="a debit"),
        pytest.param(-10, None, False, 10, 10, id="a debit of no kind"),
        pytest.param(10, None, False, -10, 0, id="what comes in is income, but in a category money back"),
        pytest.param(10, "REFUND", False, -10, -10, id="a refund"),
        pytest.param(10, "CARD_PAYMENT", True, -10, -10, id="a debit taken back"),
        pytest.param(-10, "SALARY", True, 10, 0, id="income taken back"),
        pytest.param(-10, "REFUND", True, 10, 10, id="a refund taken back"),
        pytest.param(-10, "INTERNAL_TRANSFER", False, 0, 0, id="to another account of one's own"),
        pytest.param(10, "INTERNAL_TRANSFER", False, 0, 0, id="from another account of one's own"),
        pytest.param(10, "INTERNAL_TRANSFER", True, 0, 0, id="such a one taken back"),
        pytest.param(10, "OPENING", False, 0, 0, id="what there was to begin with"),
        pytest.param(-10, "ADJUSTMENT", False, 0, 0, id="a correction of figures"),
        pytest.param(-10, "TRANSFER", False, 10, 10, id="a payment to somebody"),
    ],
)
def test_what_is_spent(signed: int, kind: str | None, is_reversal: bool, in_category: int, in_all: int) -> None:
    assert spent_in_category(signed, kind) == in_category
    assert spent_in_all(signed, kind, is_reversal=is_reversal) == in_all
