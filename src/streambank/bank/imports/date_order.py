"""Putting a file's rows into time order within bounded memory: sorted runs on disk, merged."""

import heapq
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Generic, TypeVar

import msgspec

RUN_ITEMS = 50_000

T = TypeVar("T")


def in_time_order(
    items: Iterable[T],
    of: type[T],
    moment_ms: Callable[[T], int],
    *,
    newest_first: bool = False,
    run_items: int = RUN_ITEMS,
) -> Iterator[T]:
    """The items, of a type that msgspec knows, by ``moment_ms``.

    Items of the same moment keep their order, or reverse it for ``newest_first``. At most ``run_items`` are held in
    memory, the rest in temporary files that nobody else can open.
    """
    step = -1 if newest_first else 1
    runs: list[_Run[T]] = []
    run: list[tuple[int, int, T]] = []
    try:
        for position, item in enumerate(items):
            run.append((moment_ms(item), step * position, item))
            if len(run) >= run_items:
                runs.append(_Run(run, of))
                run = []
        run.sort(key=_key)
        merged = heapq.merge(*(spilled.read() for spilled in runs), run, key=_key) if runs else iter(run)
        for _, _, item in merged:
            yield item
    finally:
        for spilled in runs:
            spilled.close()


def _key(keyed: tuple[int, int, object]) -> tuple[int, int]:
    return keyed[0], keyed[1]


class _Run(Generic[T]):
    """One sorted run in a temporary file."""

    def __init__(self, run: list[tuple[int, int, T]], of: type[T]) -> None:
        self._of = of
        run.sort(key=_key)
        encode = msgspec.msgpack.Encoder().encode
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="streambank-import-")  # noqa: SIM115  closed by close()
        try:
            for keyed in run:
                data = encode(keyed)
                self._file.write(len(data).to_bytes(4, "big") + data)
            self._file.seek(0)
        except BaseException:
            self._file.close()
            raise

    def read(self) -> Iterator[tuple[int, int, T]]:
        decoder: msgspec.msgpack.Decoder[tuple[int, int, T]] = msgspec.msgpack.Decoder(tuple[int, int, self._of])  # type: ignore[name-defined]
        while size := self._file.read(4):
            yield decoder.decode(self._file.read(int.from_bytes(size, "big")))

    def close(self) -> None:
        self._file.close()
