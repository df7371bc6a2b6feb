"""Ids in paths: written ``{account_id:id}``, so that ``/accounts/7:reopen`` is no account of the id ``7:reopen``."""

from starlette.convertors import Convertor, register_url_convertor


class _IdConvertor(Convertor[str]):
    regex = "[A-Za-z0-9_.-]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


def register_ids() -> None:
    """Let paths have ids. Idempotent; to be called before a router is made of such paths."""
    register_url_convertor("id", _IdConvertor())
