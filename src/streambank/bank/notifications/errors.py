"""Why an e-mail is not sent, apart from what the mail server says. The texts are fit for logs: nothing personal."""

from streambank.errors import StreambankError


class UnformableError(StreambankError):
    """The e-mail cannot be formed, now or later."""


class ExpiredError(UnformableError):
    """What the e-mail says would not be so any more."""


class KeyMissingError(StreambankError):
    """Something is sealed and the key has not come yet, or the address is not known yet."""


class NotWantedError(StreambankError):
    """The user wants no such e-mail any more, or their address is not to be written to."""
