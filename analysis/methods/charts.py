"""Charts as plain data; drawing them is somebody else's work."""

from .findings import Chart
from .tables import NUMERIC, ColumnProfile, Profile
from .wording import percent, plain

MOST_BARS = 12
MOST_COLUMNS = 25


def column_chart(column: ColumnProfile) -> Chart | None:
    """A histogram for numbers, bars for labels, nothing for identifiers and free text."""
    if column.type in NUMERIC and column.counts and column.semantic != "id":
        return _histogram(column)
    if column.semantic in ("category", "flag", "constant"):
        return _bars(column)
    return None


def _histogram(column: ColumnProfile) -> Chart:
    return {
        "kind": "histogram", "title": column.name, "unit": "rows",
        "finding": "How often each range of values occurs.",
        "edges": list(column.edges), "counts": list(column.counts),
    }  # fmt: skip


def _bars(column: ColumnProfile) -> Chart:
    shown = column.top[:MOST_BARS]
    return {
        "kind": "bar", "title": column.name, "unit": "rows",
        "finding": "The most frequent values." if column.distinct > len(shown) else "How often each value occurs.",
        "labels": [plain(value) for value, _ in shown], "values": [count for _, count in shown],
    }  # fmt: skip


def missing_chart(profile: Profile) -> Chart | None:
    """The share of empty cells of each column with gaps, largest first."""
    gappy = sorted((c for c in profile.columns if c.missing), key=lambda c: (-c.missing, c.name))[:MOST_COLUMNS]
    return None if not gappy else {
        "kind": "bar", "title": "Gaps per column", "unit": "%",
        "finding": "The share of cells without a usable value.",
        "labels": [plain(c.name) for c in gappy], "values": [percent(c.missing, c.rows) for c in gappy],
    }  # fmt: skip
