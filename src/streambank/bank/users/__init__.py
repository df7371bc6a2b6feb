"""The users service: sign-up, log-in, access tokens, profile, export and erasure."""
