"""Python's cyclic garbage collector, kept out of a cycle of processing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Iterator[None]:
    """Let the garbage collector look at what a cycle made once, after it, and not thirty times meanwhile.

    What goes round in a cycle is freed by its reference counts; a program's own reference cycles wait until then.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
