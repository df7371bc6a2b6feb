"""The serde of what a function returns, found in its annotations."""

import functools
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NewType, Optional, Self, TypeVar

import msgspec
import pytest
from tests.streams.support import IN

from streambank.streams import BYTES, LONG, STRING, JsonSerde, Serde, StreamBuilder, TopologyError
from streambank.streams.infer import MissingSerde, returned_item, returned_pair, returned_value, serde_for

UserId = NewType("UserId", str)
T = TypeVar("T")


class Money(msgspec.Struct, frozen=True):
    minor: int = 0

    @classmethod
    def zero(cls) -> Self:
        return cls()

    @staticmethod
    def of(minor: int) -> "Money":
        return Money(minor)

    def doubled(self) -> Self:
        return type(self)(self.minor * 2)

    def __call__(self, _value: object) -> "Money":
        return self


def text() -> str: ...  # type: ignore[empty-body]
def data() -> bytes: ...  # type: ignore[empty-body]
def number() -> int: ...  # type: ignore[empty-body]
def truth() -> bool: ...  # type: ignore[empty-body]
def maybe_text() -> str | None: ...
def maybe_old_style() -> Optional[int]: ...  # noqa: UP045
def either() -> int | str: ...  # type: ignore[empty-body]
def user_id() -> UserId: ...  # type: ignore[empty-body]
def money() -> Money: ...  # type: ignore[empty-body]
def list_of_money() -> list[Money]: ...  # type: ignore[empty-body]
def nothing() -> None: ...
def anything() -> Any: ...
def generic() -> T: ...  # type: ignore[empty-body,type-var]
def not_annotated(): ...  # type: ignore[no-untyped-def]
def nowhere_defined() -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821


def shown(serde: Serde[Any]) -> str:
    known = {id(STRING): "STRING", id(BYTES): "BYTES", id(LONG): "LONG"}
    return "missing" if isinstance(serde, MissingSerde) else known.get(id(serde), repr(serde))


@pytest.mark.parametrize(
    ("function", "serde"),
    [
        (text, "STRING"),
        (data, "BYTES"),
        (number, "LONG"),
        (truth, "JsonSerde(bool)"),
        (maybe_text, "STRING"),
        (maybe_old_style, "LONG"),
        (either, "JsonSerde(int | str)"),
        (user_id, "STRING"),
        (money, "JsonSerde(Money)"),
        (list_of_money, "JsonSerde(list)"),
        (Money, "JsonSerde(Money)"),
        (int, "LONG"),
        (Money.of, "JsonSerde(Money)"),
        (Money.zero, "JsonSerde(Money)"),
        (Money().doubled, "JsonSerde(Money)"),
        (Money(), "JsonSerde(Money)"),
        (Money.doubled, "missing"),
        (nothing, "missing"),
        (anything, "missing"),
        (generic, "missing"),
        (not_annotated, "missing"),
        (nowhere_defined, "missing"),
        (lambda: 1, "missing"),
        (str.upper, "missing"),
        (functools.partial(text), "STRING"),
        (functools.partial(Money.of, 1), "JsonSerde(Money)"),
    ],
)
def test_returned_value(function: Callable[..., Any], serde: str) -> None:
    found = shown(returned_value(function, "map_values"))
    assert found.replace("list[tests.streams.test_infer.Money]", "list") == serde


def items(annotation: Any) -> Callable[..., Any]:
    def function() -> None: ...

    function.__annotations__["return"] = annotation
    return function


@pytest.mark.parametrize(
    ("annotation", "serde"),
    [
        (list[str], "STRING"),
        (Iterable[int], "LONG"),
        (Iterator[Money], "JsonSerde(Money)"),
        (Generator[bytes, None, None], "BYTES"),
        (tuple[str, ...], "STRING"),
        (set[str | None], "STRING"),
        (tuple[str], "missing"),
        (tuple[str, int], "missing"),
        (list, "missing"),
        (str, "missing"),
        (int, "missing"),
        (list[Any], "missing"),
    ],
)
def test_returned_item(annotation: Any, serde: str) -> None:
    assert shown(returned_item(items(annotation), "flat_map_values")) == serde


@pytest.mark.parametrize(
    ("annotation", "iterable", "serdes"),
    [
        (tuple[str, int], False, ("STRING", "LONG")),
        (tuple[str | None, Money | None], False, ("STRING", "JsonSerde(Money)")),
        (tuple[str, Any], False, ("STRING", "missing")),
        (tuple[str], False, ("missing", "missing")),
        (str, False, ("missing", "missing")),
        (list[tuple[str, int]], True, ("STRING", "LONG")),
        (Iterator[tuple[str, int]], True, ("STRING", "LONG")),
        (tuple[tuple[str, int], ...], True, ("STRING", "LONG")),
        (list[str], True, ("missing", "missing")),
    ],
)
def test_returned_pair(annotation: Any, iterable: bool, serdes: tuple[str, str]) -> None:
    key, value = returned_pair(items(annotation), "map", iterable=iterable)
    assert (shown(key), shown(value)) == serdes


def test_a_pair_with_ellipsis_is_no_pair() -> None:
    assert shown(serde_for(tuple[int, ...])).startswith("JsonSerde")


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (
            lambda stream: stream.map_values(lambda value: value).group_by_key().reduce(max, name="top"),
            r"map_values: its type is not known.*Annotate what '.*<lambda>' returns, or pass a serde",
        ),
        (lambda stream: stream.group_by(lambda _key, value: value).count(name="n"), r"select_key: .*<lambda>"),
        (lambda stream: stream.group_by_key().aggregate(int, max, name="top"), r"aggregate 'top': .*'max' returns"),
        (lambda stream: stream.map(lambda key, value: (key, value)).to_table(name="t"), r"map keys: .*<lambda>"),
    ],
    ids=["value", "key", "aggregate", "pair"],
)
def test_a_type_that_is_needed_and_not_known_is_named_when_the_topology_is_built(
    use: Callable[[Any], object], says: str
) -> None:
    builder = StreamBuilder()
    use(builder.stream(IN))
    with pytest.raises(TopologyError, match=says):
        builder.build()


def test_a_type_that_is_never_stored_nor_sent_need_not_be_known() -> None:
    builder = StreamBuilder()
    builder.stream(IN).map_values(lambda value: [value]).filter(lambda _key, value: len(value) > 1)
    assert "filter" in builder.build().describe()


def test_an_explicit_serde_wins() -> None:
    assert isinstance(JsonSerde(Money), JsonSerde)
    builder = StreamBuilder()
    table = builder.stream(IN).map_values(text_of, value=IN.value).group_by_key().reduce(max, name="top")
    assert table._value is IN.value


def text_of(value: object) -> str:
    return str(value)
