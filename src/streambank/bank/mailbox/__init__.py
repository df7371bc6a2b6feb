"""A built-in mailbox: an SMTP server that keeps every e-mail, and a page and an API (Mailpit's) to read them."""

from streambank.bank.mailbox.secret import read_or_create_secret
from streambank.bank.mailbox.server import MailboxServer
from streambank.bank.mailbox.store import MailboxStore, MessageSummary

__all__ = ["MailboxServer", "MailboxStore", "MessageSummary", "read_or_create_secret"]
