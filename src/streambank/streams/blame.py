"""Finds the operator that raised, afterwards, so that knowing it costs nothing while records go by."""

from collections.abc import Mapping
from types import CodeType, FrameType
from typing import Any

from streambank.streams.operators.base import Process


def operator_of(error: BaseException, processes: Mapping[str, Process]) -> str | None:
    """The innermost of the named functions that ``error`` went through; None if it went through none.

    A bound operator is a closure: a frame is its if it runs its code with its free variables. Where an operator hands
    on its child's function as its own, as a source does, the first of the two names in ``processes`` counts.
    """
    by_code: dict[CodeType, list[tuple[str, Any]]] = {}
    for name, process in processes.items():
        if (code := getattr(process, "__code__", None)) is not None:
            by_code.setdefault(code, []).append((name, process))
    found = None
    traceback = error.__traceback__
    while traceback is not None:
        for name, process in by_code.get(traceback.tb_frame.f_code, ()):
            if _runs(traceback.tb_frame, process):
                found = name
                break
        traceback = traceback.tb_next
    return found


def _runs(frame: FrameType, process: Any) -> bool:
    cells = zip(process.__code__.co_freevars, process.__closure__ or (), strict=True)
    values = frame.f_locals
    return all(values.get(name) is cell.cell_contents for name, cell in cells)
