"""What the contract raises."""

from streambank.errors import StreambankError


class ContractError(StreambankError):
    """An event type, or a committed file, is not as the contract's documents need it."""


class IncompatibleContractError(ContractError):
    """The code's event types do not fit the committed schemas."""
