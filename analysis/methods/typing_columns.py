"""From text to typed columns: the type of each column is decided by all of its cells.

A column becomes a number, a date or true/false when at least 95 of 100 filled cells can be read so, not
counting words for "missing". The other cells are left empty in `data` and are counted, never dropped
silently. Numbers with a leading zero are codes and stay text.
"""

from collections.abc import Iterator

from .context import Context
from .identifiers import literal, name
from .missing_words import MISSING_WORDS
from .raw import Raw
from .tables import NUMERIC, ColumnType, LoadedColumn

SAMPLE_ROWS = 5_000
ENOUGH = 0.95
AT_ONCE = 25
SHOWN = 10

_DAY = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_OTHER_DATES = ("%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d %b %Y", "%b %d, %Y", "%Y%m%d")
_WORDS = ", ".join(literal(word) for word in sorted(MISSING_WORDS))

Reading = tuple[ColumnType, str]


def build_data(context: Context, raw: Raw) -> tuple[LoadedColumn, ...]:
    """Makes the table `data` from `raw`, drops `raw`, and tells what each column became."""
    width = len(raw.names)
    readings = _readings(context, raw)
    columns = tuple(_column(context, raw, index, readings[index]) for index in _watched(context, width))
    cells = ", ".join(f"{readings[i][1]} AS {name(raw.names[i])}" for i in range(width))
    context.query(f"CREATE TABLE data AS SELECT {cells} FROM raw")
    context.query("DROP TABLE raw")
    context.query("CHECKPOINT")
    return columns


def _watched(context: Context, width: int) -> Iterator[int]:
    for index in range(width):
        context.check_cancelled()
        context.progress(0.7 + 0.2 * index / width, "Finding the types")
        yield index


def _readings(context: Context, raw: Raw) -> list[Reading]:
    if raw.types is not None:
        return [(kind, f"c{i}") for i, kind in enumerate(raw.types)]  # type: ignore[misc] # literals
    guesses: list[Reading] = []
    for start in range(0, len(raw.names), AT_ONCE):
        context.check_cancelled()
        indexes = range(start, min(start + AT_ONCE, len(raw.names)))
        guesses += _confirm(context, _guess(context, indexes), indexes)
    return guesses


def _candidates(cell: str) -> tuple[Reading, ...]:
    text = f"trim({cell})"
    number = f"TRY_CAST({text} AS DOUBLE)"
    number = (
        f"CASE WHEN isfinite({number}) AND NOT contains({text}, '_')"
        f" AND NOT regexp_matches({text}, '^[-+]?0[0-9]') THEN {number} END"
    )
    whole = f"CASE WHEN NOT regexp_matches({text}, '[.eE_]|^[-+]?0[0-9]') THEN TRY_CAST({text} AS BIGINT) END"
    moment = f"CASE WHEN regexp_matches({text}, '{_DAY}') THEN TRY_CAST({text} AS TIMESTAMP) END"
    day = f"CASE WHEN regexp_matches({text}, '{_DAY}$') THEN TRY_CAST({text} AS DATE) END"
    truth = f"CASE lower({text}) WHEN 'true' THEN true WHEN 'false' THEN false END"
    others = tuple(("date", f"TRY_STRPTIME({text}, '{form}')::DATE") for form in _OTHER_DATES[:-1])
    return ("integer", whole), ("number", number), ("date", day), ("datetime", moment), ("boolean", truth), *others  # type: ignore[return-value] # literals


def _filled(cell: str) -> str:
    return f"count({cell}) FILTER (WHERE trim({cell}) <> '' AND lower(trim({cell})) NOT IN ({_WORDS}))"


def _guess(context: Context, indexes: range) -> list[list[Reading]]:
    """Per column the readings that fit a sample, best first."""
    parts = [
        part for i in indexes for part in (_filled(f"c{i}"), *(f"count({sql})" for _, sql in _candidates(f"c{i}")))
    ]
    counts = context.query(f"SELECT {', '.join(parts)} FROM (FROM raw LIMIT {SAMPLE_ROWS})")[0]
    step = len(parts) // len(indexes)
    return [
        [
            reading
            for reading, fitting in zip(_candidates(f"c{i}"), counts[at + 1 : at + step], strict=True)
            if counts[at] == 0 or fitting >= ENOUGH * counts[at]
        ]
        for i, at in zip(indexes, range(0, len(parts), step), strict=True)
    ]


def _confirm(context: Context, guesses: list[list[Reading]], indexes: range) -> list[Reading]:
    """The first reading of each column that also fits the whole file; two orders of day and month do not."""
    parts, places = [], list[tuple[int, Reading]]()
    for i, readings in zip(indexes, guesses, strict=True):
        for reading in [] if _ambiguous(readings) else readings:
            parts += [_filled(f"c{i}"), f"count({reading[1]})", _codes(f"c{i}", reading)]
            places.append((i, reading))
    chosen: dict[int, Reading] = {}
    counts = context.query(f"SELECT {', '.join(parts)} FROM raw")[0] if parts else ()
    best: dict[int, int] = {}
    for number, (i, reading) in enumerate(places):
        filled, fitting, codes = counts[3 * number : 3 * number + 3]
        if filled and not codes and fitting >= ENOUGH * filled and fitting > best.get(i, 0):
            chosen[i], best[i] = reading, fitting
    return [chosen.get(i, ("text", f"c{i}")) for i in indexes]


def _codes(cell: str, reading: Reading) -> str:
    """Counts what would lose its leading zero."""
    numeric = reading[0] in NUMERIC
    return f"count_if(regexp_matches({cell}, '^ *[-+]?0[0-9]'))" if numeric else "0"


def _ambiguous(readings: list[Reading]) -> bool:
    forms = "".join(sql for _, sql in readings)
    return "%m/%d/%Y" in forms and "%d/%m/%Y" in forms and "AS DATE)" not in forms


def _column(context: Context, raw: Raw, index: int, reading: Reading) -> LoadedColumn:
    kind, sql = reading
    if kind == "text" or raw.types is not None:
        return LoadedColumn(raw.names[index], raw.originals[index], kind)
    left = context.query(
        f"SELECT trim(c{index}) AS v, count(*) AS n, sum(count(*)) OVER () FROM raw"
        f" WHERE trim(c{index}) <> '' AND {sql} IS NULL"
        f" GROUP BY v ORDER BY n DESC, v LIMIT {SHOWN}"
    )
    cells = int(left[0][2]) if left else 0
    return LoadedColumn(
        raw.names[index], raw.originals[index], kind, tuple((str(v), int(n)) for v, n, _ in left), cells
    )
