"""Reads delimited text into `raw`, all cells as text; keeps good rows and counts the others.

The layout is found by `dialect`, not by the database: its own sniffer chooses by sampled types and may
drop rows for a value that only comes late in the file.
"""

from dataclasses import dataclass
from pathlib import Path

from .column_names import unique_names
from .context import Context
from .dialect import Dialect, find_dialect
from .exceptions import TooLarge
from .identifiers import literal
from .raw import Raw, check_width, raw_columns
from .tables import Loaded
from .wording import show

SAMPLE_CHARACTERS = 256 * 1024
FIRST_LINES = 5
LONG_LOSS = 20  # lines swallowed by one quote mark: more is a forgotten quote, not a long cell


@dataclass(frozen=True, slots=True)
class _Rejects:
    rows: int
    lines: tuple[int, ...]
    unclosed_quote: int | None


def read_delimited(context: Context, file: Path) -> Raw:
    """Makes `raw` from CSV, TSV and relatives."""
    dialect = find_dialect(_sample(file))
    check_width(context, dialect.width)
    rejects = _copy(context, file, dialect, quoted=True)
    if rejects.unclosed_quote:
        again = _copy(context, file, dialect, quoted=False)
        rejects = _Rejects(again.rows, again.lines, rejects.unclosed_quote)
    _check_cells(context, dialect.width)
    names = unique_names(dialect.header, dialect.width)
    loaded = Loaded(
        rejected=rejects.rows,
        rejected_lines=rejects.lines,
        delimiter="" if dialect.delimiter == "\x1f" else dialect.delimiter,
        has_header=dialect.header is not None,
        preamble=dialect.preamble,
        unclosed_quote=rejects.unclosed_quote,
        truncated=_cut_rows(context),
    )
    return Raw(names, dialect.header or names, loaded)


def _sample(file: Path) -> str:
    with file.open(encoding="utf-8", newline="") as text:
        sample = text.read(SAMPLE_CHARACTERS)
        return sample + text.readline() if len(sample) == SAMPLE_CHARACTERS else sample


def _copy(context: Context, file: Path, dialect: Dialect, *, quoted: bool) -> _Rejects:
    for table in ("raw", "reject_errors", "reject_scans"):
        context.query(f"DROP TABLE IF EXISTS {table}")
    mark = "'\"'" if quoted else "''"
    context.query(
        f"CREATE TABLE raw AS FROM read_csv({literal(str(file))}, auto_detect = false,"
        f" columns = {raw_columns(dialect.width)}, delim = {literal(dialect.delimiter)},"
        f" quote = {mark}, escape = {mark}, header = false, skip = {dialect.skip}, comment = '',"
        f" max_line_size = {context.limits.max_cell_bytes * 4}, store_rejects = true)"
    )
    return _rejects(context)


def _rejects(context: Context) -> _Rejects:
    rows, first = context.query(
        "SELECT count(DISTINCT line), min(line) FILTER (WHERE error_type = 'LINE SIZE OVER MAXIMUM'"
        f" OR length(csv_line) - length(replace(csv_line, chr(10), '')) > {LONG_LOSS}"
        " OR (error_type = 'UNQUOTED VALUE' AND contains(rtrim(csv_line, chr(10)), chr(10))))"
        " FROM reject_errors"
    )[0]
    lines = context.query(f"SELECT DISTINCT line FROM reject_errors ORDER BY line LIMIT {FIRST_LINES}")
    return _Rejects(int(rows), tuple(int(line) for (line,) in lines), None if first is None else int(first))


def _check_cells(context: Context, width: int) -> None:
    longest = ", ".join(f"coalesce(max(strlen(c{index})), 0)" for index in range(width))
    limit = context.limits.max_cell_bytes
    if width and max(context.query(f"SELECT {longest} FROM raw")[0]) > limit:
        raise TooLarge(
            f"A cell is longer than {show(limit)} bytes.",
            hint="Long texts belong into files of their own; a quote mark may be missing, too.",
        )


def _cut_rows(context: Context) -> bool:
    limit = context.limits.max_rows
    if int(context.query("SELECT count(*) FROM raw")[0][0]) <= limit:
        return False
    context.query(f"DELETE FROM raw WHERE rowid >= {limit}")
    return True
