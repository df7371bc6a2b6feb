import pytest

from streambank.bank.imports.files import Line
from streambank.bank.imports.ofx_tokens import Tag, tags


def test_tags_keep_their_line_over_pieces_and_comments() -> None:
    texts = ["HEAD:1", "<A>", "<!-- <B>", " --><C>one", "two<D", ">x &amp; y &bad; &#8364;<![CDATA[<&amp;>]]>", "</A>"]
    lines = [Line(number, text, True) for number, text in enumerate(texts, 1)]
    assert list(tags(lines, "f")) == [
        Tag(2, "A", ""),
        Tag(4, "C", "one\ntwo"),
        Tag(5, "D", "x & y &bad; €<&amp;>"),
        Tag(7, "/A", ""),
    ]


def test_a_tag_that_never_ends_takes_bounded_memory() -> None:
    lines = [Line(number, "<!-- " + "x" * 10_000, True) for number in range(1, 200)]
    assert list(tags([*lines, Line(200, "<A>1", True)], "f"))[-1] == Tag(200, "A", "1")


@pytest.mark.parametrize("piece", ["<!--", "<![CDATA[", "<a", "<", "&#", "<?", "<!"])
def test_what_never_ends_takes_time_that_grows_with_its_length_only(piece: str) -> None:
    lines = [Line(number, piece * (20_000 if number < 3 else 1), number > 2) for number in range(1, 1_000)]
    assert len(list(tags(lines, "f"))) <= 1
