"""How the judges say that something is wrong."""


class FaultFoundError(AssertionError):
    """Something is not as the model says."""


def require(right: bool, what: str) -> None:
    """Raise FaultFoundError with ``what``, unless it is ``right``."""
    if not right:
        raise FaultFoundError(what)
