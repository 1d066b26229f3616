"""From text to typed columns: the type of each column is decided by all of its cells.

A column becomes a number, a date or true/false when at least 95 of 100 filled cells can be read so, not
counting words for "missing". The other cells are left empty in `data` and are counted, never dropped
silently. A column in which a number starts with a zero holds codes and stays text.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .context import Context
from .identifiers import literal, name
from .missing_words import MISSING_WORDS
from .raw import Raw
from .tables import NUMERIC, ColumnType, LoadedColumn

SAMPLE_ROWS = 500
LIKELY = 0.8
ENOUGH = 0.95
AT_ONCE = 25
SHOWN = 10

_DAY = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_OTHER_DATES = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y")
_WORDS = ", ".join(literal(word) for word in sorted(MISSING_WORDS))


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a column: `sql` gives the value of a cell, or NULL when the cell does not fit."""

    type: ColumnType
    sql: str
    complete: bool = False  # every filled cell fits


def build_data(context: Context, raw: Raw) -> tuple[LoadedColumn, ...]:
    """Makes the table `data` from `raw`, drops `raw`, and tells what each column became."""
    readings = _readings(context, raw)
    columns = tuple(_column(context, raw, index, reading) for index, reading in enumerate(readings))
    cells = ", ".join(f"{reading.sql} AS {name(column)}" for reading, column in zip(readings, raw.names, strict=True))
    context.progress(0.8, "Storing the columns")
    context.query(f"CREATE TABLE data AS SELECT {cells} FROM raw")
    context.query("DROP TABLE raw")
    return columns


def _readings(context: Context, raw: Raw) -> list[Reading]:
    if raw.types is not None:
        return [Reading(kind, f"c{i}", complete=True) for i, kind in enumerate(raw.types)]
    rows = int(context.query("SELECT count(*) FROM raw")[0][0])
    readings: list[Reading] = []
    for indexes in _blocks(len(raw.names)):
        context.progress(0.5 + 0.3 * indexes.start / len(raw.names), "Finding the types")
        likely = _likely(context, indexes, max(rows // SAMPLE_ROWS, 1))
        readings += _confirmed(context, indexes, likely)
    return readings


def _blocks(width: int) -> Iterator[range]:
    for start in range(0, width, AT_ONCE):
        yield range(start, min(start + AT_ONCE, width))


def _candidates(cell: str) -> list[Reading]:
    """Stricter readings first; they win when they fit as many cells as a wider one."""
    text = f"trim({cell})"
    number, whole = f"TRY_CAST({text} AS DOUBLE)", f"TRY_CAST({text} AS BIGINT)"
    clean = f"NOT contains({text}, '_')"  # the database reads 1_000 as a number; people do not
    return [
        Reading("integer", f"CASE WHEN {whole} = {number} AND {clean} THEN {whole} END"),
        Reading("number", f"CASE WHEN isfinite({number}) AND {clean} THEN {number} END"),
        Reading("date", f"CASE WHEN regexp_matches({text}, '{_DAY}$') THEN TRY_CAST({text} AS DATE) END"),
        Reading("datetime", f"CASE WHEN regexp_matches({text}, '{_DAY}') THEN TRY_CAST({text} AS TIMESTAMP) END"),
        Reading("boolean", f"CASE lower({text}) WHEN 'true' THEN true WHEN 'false' THEN false END"),
        *(Reading("date", f"TRY_STRPTIME({text}, '{layout}')::DATE") for layout in _OTHER_DATES),
    ]


def _filled(cell: str) -> str:
    return f"count({cell}) FILTER (WHERE trim({cell}) <> '' AND lower(trim({cell})) NOT IN ({_WORDS}))"


def _likely(context: Context, indexes: range, step: int) -> list[list[Reading]]:
    """Per column the readings that fit most cells of a sample."""
    candidates = [_candidates(f"c{i}") for i in indexes]
    parts = [
        part
        for i, readings in zip(indexes, candidates, strict=True)
        for part in (_filled(f"c{i}"), *(f"count({reading.sql})" for reading in readings))
    ]
    counts = list(context.query(f"SELECT {', '.join(parts)} FROM raw WHERE rowid % {step} = 0")[0])
    likely = []
    for readings in candidates:
        filled, fitting = counts.pop(0), [counts.pop(0) for _ in readings]
        likely.append([r for r, n in zip(readings, fitting, strict=True) if n >= LIKELY * filled])
    return [[] if _ambiguous(readings) else readings for readings in likely]


def _ambiguous(readings: list[Reading]) -> bool:
    """Whether day and month could be either way round; then the column stays text."""
    layouts = "".join(reading.sql for reading in readings)
    return len(readings) == 2 and "%m/%d/%Y" in layouts and "%d/%m/%Y" in layouts


def _confirmed(context: Context, indexes: range, likely: list[list[Reading]]) -> list[Reading]:
    """The reading of each column that fits most cells of the whole file, and enough of them; else text."""
    parts = [
        part
        for i, readings in zip(indexes, likely, strict=True)
        if readings
        for part in (f"count(nullif(trim(c{i}), ''))", _filled(f"c{i}"), _codes(f"c{i}"),
                     *(f"count({reading.sql})" for reading in readings))
    ]  # fmt: skip
    counts = list(context.query(f"SELECT {', '.join(parts)} FROM raw")[0]) if parts else []
    chosen = []
    for i, readings in zip(indexes, likely, strict=True):
        present, filled, codes = (counts.pop(0), counts.pop(0), counts.pop(0)) if readings else (0, 0, 0)
        fitting = [(counts.pop(0), -place, reading) for place, reading in enumerate(readings)]
        usable = [fit for fit in fitting if not (codes and fit[2].type in NUMERIC)]
        best, _, reading = max(usable, default=(0, 0, Reading("text", f"c{i}")), key=lambda fit: fit[:2])
        fits = best > 0 and best >= ENOUGH * filled
        chosen.append(Reading(reading.type, reading.sql, best == present) if fits else Reading("text", f"c{i}", True))
    return chosen


def _codes(cell: str) -> str:
    """Counts the cells that would lose their leading zero."""
    return f"count_if(starts_with(ltrim({cell}), '0') AND regexp_matches({cell}, '^ *0[0-9]'))"


def _column(context: Context, raw: Raw, index: int, reading: Reading) -> LoadedColumn:
    if reading.complete:
        return LoadedColumn(raw.names[index], raw.originals[index], reading.type)
    left = context.query(
        f"SELECT trim(c{index}) AS v, count(*) AS n, sum(count(*)) OVER () FROM raw"
        f" WHERE trim(c{index}) <> '' AND {reading.sql} IS NULL"
        f" GROUP BY v ORDER BY n DESC, v LIMIT {SHOWN}"
    )
    cells = int(left[0][2]) if left else 0
    values = tuple((str(value), int(n)) for value, n, _ in left)
    return LoadedColumn(raw.names[index], raw.originals[index], reading.type, values, cells)
