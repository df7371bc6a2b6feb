"""process, process_values: a step that the program writes as a processor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streambank.streams.operators.base import Process, Stateless, StoreSpec, TaskContext
from streambank.streams.processor import Processor, bind_processor


@dataclass(frozen=True, slots=True)
class ProcessRecords(Stateless):
    """Hands each record to a processor that ``factory`` makes for the task; forwards what that forwards."""

    factory: Callable[[], Processor[Any, Any, Any, Any]]
    owned: tuple[StoreSpec, ...]
    keeps_keys: bool = False
    kind: str = "process"

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """Those it was given; other processors may have been given the same."""
        return self.owned

    def bind(self, context: TaskContext, forward: Process) -> Process:
        """Give the task a processor of its own."""
        return bind_processor(self.factory(), context, self.owned, forward, keeps_keys=self.keeps_keys)
