"""Personalization: what people want to be told, what they plan, and how much they let go out."""
