"""How often each word was said."""

from streambank.streams import LONG, STRING, StreamBuilder, Topic
from streambank.streams.testing import TopologyTestDriver

LINES = Topic(name="lines", key=STRING, value=STRING)
COUNTS = Topic(name="counts", key=STRING, value=LONG)


def words(line: str) -> list[str]:
    return line.lower().split()


def itself(_key: str, word: str) -> str:
    return word


builder = StreamBuilder()
builder.stream(LINES).flat_map_values(words).group_by(itself).count(name="words").to_stream().to(COUNTS)

with TopologyTestDriver(builder.build()) as driver:
    driver.pipe(LINES, "a", "to be or not to be")
    counts = {word: count for word, count, _ in driver.read(COUNTS)}
    print(counts)
    assert counts == {"to": 2, "be": 2, "or": 1, "not": 1}
