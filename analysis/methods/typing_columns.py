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
    step = max(rows // SAMPLE_ROWS, 1)
    context.query(f"CREATE TEMP TABLE picked AS FROM raw WHERE rowid % {step} = 0")
    readings: list[Reading] = []
    for indexes in _blocks(len(raw.names)):
        context.progress(0.5 + 0.3 * indexes.start / len(raw.names), "Finding the types")
        likely = _likely(context, indexes)
        easy = _easy(context, likely)
        hard = {i: [] if i in easy else readings for i, readings in likely.items()}
        confirmed = _confirmed(context, hard)
        readings += [easy.get(i, confirmed[i]) for i in indexes]
    context.query("DROP TABLE picked")
    return readings


def _blocks(width: int) -> Iterator[range]:
    for start in range(0, width, AT_ONCE):
        yield range(start, min(start + AT_ONCE, width))


def _candidates(cell: str) -> list[Reading]:
    """Stricter readings first; they win when they fit as many cells as a wider one."""
    text = f"trim({cell})"
    number, whole = f"TRY_CAST({cell} AS DOUBLE)", f"TRY_CAST({cell} AS BIGINT)"
    clean = f"NOT contains({cell}, '_')"  # the database reads 1_000 as a number; people do not
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


def _likely(context: Context, indexes: range) -> dict[int, list[Reading]]:
    """Per column the readings that fit most cells of a sample, narrowest first."""
    candidates = {i: _candidates(f"c{i}") for i in indexes}
    parts = [
        part
        for i, readings in candidates.items()
        for part in (_filled(f"c{i}"), *(f"count({reading.sql})" for reading in readings))
    ]
    counts = list(context.query(f"SELECT {', '.join(parts)} FROM picked")[0])
    likely = {}
    for i, readings in candidates.items():
        filled, fitting = counts.pop(0), [counts.pop(0) for _ in readings]
        fits = [r for r, n in zip(readings, fitting, strict=True) if n >= LIKELY * filled]
        likely[i] = [] if _ambiguous(fits) else fits
    return likely


def _easy(context: Context, likely: dict[int, list[Reading]]) -> dict[int, Reading]:
    """Columns whose every cell fits the narrowest reading as it stands: one quick scan settles them."""
    first = {i: readings[0] for i, readings in likely.items() if readings}
    if not first:
        return {}
    parts = ", ".join(f"count(c{i}), {_as_it_stands(f'c{i}', reading)}" for i, reading in first.items())
    counts = context.query(f"SELECT {parts} FROM raw")[0]
    return {
        i: Reading(reading.type, reading.sql, complete=True)
        for at, (i, reading) in enumerate(first.items())
        if 0 < counts[2 * at] == counts[2 * at + 1]
    }


def _as_it_stands(cell: str, reading: Reading) -> str:
    """Counts the cells that fit without a doubt: no spaces around them, no zero that could be lost."""
    if reading.type == "integer":
        return f"count_if(TRY_CAST({cell} AS BIGINT)::VARCHAR = {cell})"
    if reading.type == "number":
        doubt = f"{cell} >= '0' AND {cell} < '1' AND regexp_matches({cell}, '^0[0-9]') OR {cell} < '!'"
        return f"count({reading.sql}) - count_if({doubt})"
    return f"count({reading.sql})"


def _ambiguous(readings: list[Reading]) -> bool:
    """Whether day and month could be either way round; then the column stays text."""
    layouts = "".join(reading.sql for reading in readings)
    return len(readings) == 2 and "%m/%d/%Y" in layouts and "%d/%m/%Y" in layouts


def _confirmed(context: Context, likely: dict[int, list[Reading]]) -> dict[int, Reading]:
    """The reading of each column that fits most cells of the whole file, and enough of them; else text."""
    parts = [
        part
        for i, readings in likely.items()
        if readings
        for part in (f"count(nullif(trim(c{i}), ''))", _filled(f"c{i}"), _codes(f"c{i}"),
                     *(f"count({reading.sql})" for reading in readings))
    ]  # fmt: skip
    counts = list(context.query(f"SELECT {', '.join(parts)} FROM raw")[0]) if parts else []
    chosen = {}
    for i, readings in likely.items():
        own = [counts.pop(0) for _ in range(3 + len(readings))] if readings else []
        chosen[i] = _best(f"c{i}", readings, own)
    return chosen


def _best(cell: str, readings: list[Reading], counts: list[int]) -> Reading:
    text = Reading("text", cell, complete=True)
    if not readings:
        return text
    present, filled, codes, *fitting = counts
    usable = [(fits, -place) for place, fits in enumerate(fitting) if not (codes and readings[place].type in NUMERIC)]
    best, place = max(usable, default=(0, 0))
    if best == 0 or best < ENOUGH * filled:
        return text
    return Reading(readings[-place].type, readings[-place].sql, complete=best == present)


def _codes(cell: str) -> str:
    """Counts the cells that would lose their leading zero."""
    return f"count_if(regexp_matches({cell}, '^ *0[0-9]'))"


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
