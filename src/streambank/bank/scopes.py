"""What access tokens may be used for, and where they are got: the part of OAuth that users and all others share."""

TOKEN_PATH = "/v1/oauth/token"  # noqa: S105

SCOPES = {
    "users:read": "See your profile, sessions and keys",
    "users:write": "Change them",
    "transactions:read": "See accounts and transactions",
    "transactions:write": "Change them",
    "personalization:read": "See your thresholds, budgets, goals and limits",
    "personalization:write": "Change them",
    "payments:read": "See payments to and from you",
    "payments:write": "Pay, and ask for money",
    "notifications:read": "See your inbox and where it is sent to",
    "notifications:write": "Change them",
    "views:read": "See your net worth, spending, cash flow and what recurs",
}
"""Each with what it allows."""
