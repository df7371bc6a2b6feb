"""The base of every error streambank raises on purpose."""


class StreambankError(Exception):
    """An expected failure. Its text is for the user: what happened, where, and what to do next."""


class InvariantError(StreambankError):
    """Something that can never happen did; processing stops rather than go on with wrong data."""


def check(condition: bool, message: str) -> None:
    """Raise :class:`InvariantError` with ``message`` unless ``condition`` holds; works under ``-O`` too."""
    if not condition:
        raise InvariantError(message)
