"""Why a payment came to nothing: codes of ISO 20022's ExternalStatusReason1Code, with what they mean to people."""

from enum import Enum


class Reason(Enum):
    """A code of the external code set; two services and a topology give them."""

    UNFIT_CREDITOR = "AC03"
    CLOSED_ACCOUNT = "AC04"
    BLOCKED_ACCOUNT = "AC06"
    FORBIDDEN = "AG01"
    WRONG_CURRENCY = "AM03"
    INSUFFICIENT_FUNDS = "AM04"
    WRONG_AMOUNT = "AM09"
    OVER_LIMIT = "AM14"
    UNKNOWN_PAYEE = "BE06"
    CANCELLED = "CUST"
    SUSPICIOUS = "FRAD"
    UNEXPLAINED = "NARR"
    TOO_LATE = "TM01"


TEXTS: dict[Reason, str] = {
    Reason.UNFIT_CREDITOR: "the payee's account cannot take the payment",
    Reason.CLOSED_ACCOUNT: "the account is closed",
    Reason.BLOCKED_ACCOUNT: "the account is blocked",
    Reason.FORBIDDEN: "the payer may not pay from this account",
    Reason.WRONG_CURRENCY: "the account is in another currency",
    Reason.INSUFFICIENT_FUNDS: "there is not enough money on the account",
    Reason.WRONG_AMOUNT: "the amount is more than an account can hold",
    Reason.OVER_LIMIT: "the amount is over a payment limit",
    Reason.UNKNOWN_PAYEE: "the payee is not known",
    Reason.CANCELLED: "the payer cancelled it",
    Reason.SUSPICIOUS: "the payment was refused for safety",
    Reason.UNEXPLAINED: "the payment was not asked for in an order that makes sense",
    Reason.TOO_LATE: "the time for it ran out",
}
"""In words that end a sentence."""


def text_of(code: str) -> str:
    """What a code means; a code that is not ours is its own text."""
    known = _BY_CODE.get(code)
    return code if known is None else TEXTS[known]


_BY_CODE = {reason.value: reason for reason in Reason}
