from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streambank.bank.imports.amounts import DecimalMark, judge, parse_money
from streambank.bank.imports.errors import ValueProblem


@pytest.mark.parametrize(
    ("text", "mark", "value", "unit"),
    [
        ("1.234,56", ",", "1234.56", None),
        ("1,234.56", ".", "1234.56", None),
        ("1 234,56", ",", "1234.56", None),
        ("1\u00a0234\u00a0567,56 Kč", ",", "1234567.56", "Kč"),
        ("1\u202f234,5", ",", "1234.5", None),
        ("1'234.50 CHF", ".", "1234.50", "CHF"),
        ("1,23,456.78", ".", "123456.78", None),
        ("(1,234.56)", ".", "-1234.56", None),
        ("12.00-", ".", "-12.00", None),
        ("−3", ".", "-3", None),
        ("+5", ".", "5", None),
        ("-$12.50", ".", "-12.50", "$"),
        ("$-12", ".", "-12", "$"),
        ("12.50 €", ".", "12.50", "€"),
        ("EUR 1.234,00", ",", "1234.00", "EUR"),
        ("100,-", ",", "100", None),
        ("-100,- Kč", ",", "-100", "Kč"),
        ("5.00 DR", ".", "-5.00", None),
        ("5.00CR", ".", "5.00", None),
        (",50", ",", "0.50", None),
        ("Fr. 12.50", ".", "12.50", "Fr."),
    ],
)
def test_amounts_as_banks_write_them(text: str, mark: DecimalMark, value: str, unit: str | None) -> None:
    money = parse_money(text, mark)
    assert (money.value, money.unit) == (Decimal(value), unit)


@pytest.mark.parametrize(
    ("text", "mark", "says"),
    [
        ("", ".", "is empty"),
        ("abc", ".", "is not an amount"),
        ("-", ".", "is not an amount"),
        ("1e5", ".", "is not an amount"),
        ("12 34", ".", "spaces where thousands do not end"),
        ("1,234.5.6", ".", "decimal mark"),
        ("1.234,56", ".", "decimal mark"),
        ("1,23", ".", "decimal mark"),
        ("--5", ".", "more than one sign"),
        ("-5-", ".", "more than one sign"),
        ("(-5)", ".", "more than one sign"),
        ("(5", ".", "is not an amount"),
        ("9" * 50, ".", "more than 64 bits"),
    ],
)
def test_what_is_no_amount_says_why(text: str, mark: DecimalMark, says: str) -> None:
    with pytest.raises(ValueProblem, match=says):
        parse_money(text, mark)


@given(
    st.decimals(min_value=-(10**14), max_value=10**14, places=2),
    st.sampled_from([(",", "."), (".", ","), (",", " "), (",", "\u00a0"), (".", "'"), (".", ""), (",", "")]),
    st.sampled_from(["before", "after", "parentheses"]),
)
def test_an_amount_written_in_any_style_reads_back(value: Decimal, style: tuple[DecimalMark, str], sign: str) -> None:
    mark, group = style
    text = f"{abs(value):,.2f}".replace(",", "\0").replace(".", mark).replace("\0", group)
    if value < 0:
        text = {"before": f"-{text}", "after": f"{text}-", "parentheses": f"({text})"}[sign]
    assert parse_money(text, mark).value == value


@given(st.text(max_size=20), st.sampled_from([".", ","]))
def test_any_text_is_an_amount_or_a_problem(text: str, mark: DecimalMark) -> None:
    try:
        value = parse_money(text, mark).value
    except ValueProblem:
        return
    assert value.is_finite()


@pytest.mark.parametrize(
    ("text", "vote"),
    [
        ("1.234", "?"),
        ("1,234", "?"),
        ("12.50", "."),
        ("12,5", ","),
        ("1.234.567", ","),
        ("1 234,567,8", ""),
        ("10", ""),
    ],
)
def test_which_decimal_mark_a_cell_speaks_for(text: str, vote: str) -> None:
    assert judge(text)[0] == vote
