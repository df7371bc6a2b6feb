"""What access tokens may be used for, and where they are got: the part of OAuth that users and all others share."""

TOKEN_PATH = "/v1/oauth/token"  # noqa: S105

SCOPES = {
    "users:read": "See your profile, sessions and keys",
    "users:write": "Change them",
    "transactions:read": "See accounts and transactions",
    "transactions:write": "Change them",
}
"""Each with what it allows."""
