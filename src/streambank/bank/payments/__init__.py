"""The payments service: transfers between people, what repeats, and requests for money."""
