"""A topology shown as Mermaid and as JSON; the text is in test_topology.py."""

import json
import re
from typing import Any, cast

import pytest
from tests.streams.support import ANY, IN, OUT, TABLE, topic

from streambank.streams import StreamBuilder, Topology


def pair(left: object, right: object) -> list[object]:
    return [left, right]


def small() -> Topology:
    builder = StreamBuilder()
    by_shop = builder.stream(IN).select_key(lambda _key, value: value, key=ANY)
    by_shop.join(builder.table(TABLE, history_retention_ms=60_000), pair, name="priced", grace_ms=10).to(OUT)
    return builder.build()


MERMAID = """\
flowchart TD
  topic0[/"in"/]
  topic1[/"table"/]
  topic2[/"priced-repartition"/]
  topic3[/"out"/]
  subgraph sub0["Sub-topology 0 (1 tasks)"]
    node0["stream(in): source"]
    node1["select-key-001: select-key"]
    node2["to(priced-repartition): repartition"]
  end
  subgraph sub1["Sub-topology 1 (1 tasks)"]
    node3["table(table): versioned-table"]
    node4["stream(priced-repartition): source"]
    node5["priced: stream-versioned-table-join"]
    node6["to(out)-002: sink"]
    store0[("table")]
    store1[("priced-buffer")]
  end
  topic0 --> node0
  node0 --> node1
  node1 --> node2
  node2 --> topic2
  topic1 --> node3
  node3 --- store0
  topic2 --> node4
  node4 --> node5
  node5 --- store1
  node3 -.-> node5
  node5 --> node6
  node6 --> topic3"""


def test_mermaid() -> None:
    assert small().describe(format="mermaid") == MERMAID


NAMES = ["end", 'say "no"', "a[b](c){d}", "`x`", "#1;", "x --> y", "<b>%%{init}%%", "zwei\nZeilen", "Käse", "a|b"]
LABEL = r'"(?:[\w .,:()/+-]|#\d+;)+"'
IDENTIFIER = r"(?:node|topic|store|sub)\d+"
LINE = re.compile(
    rf"flowchart TD| *end| *subgraph {IDENTIFIER}\[{LABEL}\]| *{IDENTIFIER} (?:-->|---|-\.->) {IDENTIFIER}"
    rf"| *{IDENTIFIER}(?:\[{LABEL}\]|\[/{LABEL}/\]|\[\({LABEL}\)\])"
)


def unescaped(label: str) -> str:
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label)


@pytest.mark.parametrize("name", NAMES)
def test_mermaid_takes_no_name_for_syntax(name: str) -> None:
    builder = StreamBuilder()
    builder.stream(IN).group_by_key().count(name=name)
    lines = builder.build().describe("mermaid").split("\n")
    assert [line for line in lines if not LINE.fullmatch(line)] == []
    labels = {unescaped(label) for line in lines for label in re.findall(rf"{LABEL}", line)}
    assert {f'"{name}"', f'"{name}: count"'} < labels


def test_json() -> None:
    described = json.loads(small().describe(format="json"))
    assert list(described) == ["version", "sub_topologies", "stores", "topics"]
    assert described["version"] == 1
    assert [(sub["index"], sub["partitions"], len(sub["nodes"])) for sub in described["sub_topologies"]] == [
        (0, 1, 3),
        (1, 1, 4),
    ]
    assert described["sub_topologies"][1]["nodes"][2] == {
        "name": "priced",
        "kind": "stream-versioned-table-join",
        "parents": ["stream(priced-repartition)"],
        "topic": None,
        "stores": ["priced-buffer"],
        "reads": ["table(table)"],
        "reads_global_table": None,
    }
    assert described["stores"] == [
        {"name": "table", "kind": "versioned", "changelog": None, "retention_ms": 60_000},
        {"name": "priced-buffer", "kind": "join-grace-buffer", "changelog": None, "retention_ms": None},
    ]
    assert described["topics"][2] == {
        "name": "priced-repartition",
        "partitions": 1,
        "cleanup_policy": "delete",
        "retention_ms": -1,
        "internal": True,
    }


def test_json_names_a_changelog_that_is_a_topic_of_its_own() -> None:
    builder = StreamBuilder()
    counts = builder.stream(IN).group_by_key().count(name="n")
    counts.to_stream().to(topic("counts", cleanup_policy="compact"))
    assert [store["changelog"] for store in json.loads(builder.build().describe("json"))["stores"]] == ["counts"]


def test_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="'text', 'mermaid' or 'json', not 'dot'"):
        small().describe(cast("Any", "dot"))
