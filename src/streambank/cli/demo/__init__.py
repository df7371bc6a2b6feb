"""``streambank demo``: generated people who use the bank through its API, and a picture of it."""
