"""Reads JSON lines (and small JSON arrays) into `raw`: flattened, one bad line never spoils the rest.

Each object is written as one row of a delimited file, which the database then reads; the database's own
JSON reader turns a broken line into an empty row and does not say so.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .column_names import unique_names
from .context import Context
from .exceptions import TooLarge, UnsupportedFile
from .identifiers import literal
from .limits import MEGABYTE
from .raw import Raw, check_width, raw_columns
from .tables import Loaded
from .wording import show

DEEPEST = 3
LARGEST_ARRAY = 32 * MEGABYTE
FIRST_LINES = 5
CHECK_EVERY = 5_000


class _Bad:
    """Counts the lines that are not JSON objects."""

    def __init__(self) -> None:
        self.count = 0
        self.lines: list[int] = []

    def add(self, line: int) -> None:
        """One more; the first few are remembered."""
        self.count += 1
        if len(self.lines) < FIRST_LINES:
            self.lines.append(line)


def read_json(context: Context, file: Path) -> Raw:
    """Makes `raw` from one JSON object per line, or from an array of objects."""
    bad, keys = _Bad(), dict[str, int]()
    flat = context.scratch / "flat.csv"
    objects = _lines(context, file, bad) if context.source.format == "jsonl" else _array(context, file, bad)
    with flat.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        for record in objects:
            writer.writerow(_row(context, record, keys))
    if keys:
        context.query(
            f"CREATE TABLE raw AS FROM read_csv({literal(str(flat))}, auto_detect = false, header = false,"
            f" columns = {raw_columns(len(keys))}, delim = ',', quote = '\"', escape = '\"',"
            f" null_padding = true, max_line_size = {context.limits.max_cell_bytes * 4})"
        )
    else:
        context.query("CREATE TABLE raw (c0 VARCHAR)")
    originals = tuple(keys)
    loaded = Loaded(rejected=bad.count, rejected_lines=tuple(bad.lines))
    return Raw(unique_names(originals, len(originals)), originals, loaded)


def _lines(context: Context, file: Path, bad: _Bad) -> Iterator[dict[str, Any]]:
    done = 0
    with file.open(encoding="utf-8", newline="\n") as text:
        for number, line in enumerate(text, start=1):
            done += len(line)
            if number % CHECK_EVERY == 0:
                context.check_cancelled()
                context.progress(0.2 + 0.3 * done / max(context.source.size, 1), "Reading the rows")
            record = _parse(line)
            if isinstance(record, dict):
                yield record
            elif line.strip():
                bad.add(number)


def _parse(line: str) -> object:
    try:
        return json.loads(line) if line.strip() else None
    except (ValueError, RecursionError):
        return None


def _array(context: Context, file: Path, bad: _Bad) -> Iterator[dict[str, Any]]:
    if context.source.size > LARGEST_ARRAY:
        raise TooLarge("The file is one large JSON array.", hint="Save it as JSON lines: one object per line.")
    try:
        records = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        where = f"Line {show(error.lineno)}." if isinstance(error, json.JSONDecodeError) else ""
        raise UnsupportedFile("The JSON in this file is broken.", where=where) from error
    for number, record in enumerate(records, start=1):
        if isinstance(record, dict):
            yield record
        else:
            bad.add(number)


def _row(context: Context, record: dict[str, Any], keys: dict[str, int]) -> list[str]:
    cells: dict[int, str] = {}
    for key, value in _flatten(record, "", 1):
        if key not in keys:
            check_width(context, len(keys) + 1)
            keys[key] = len(keys)
        cells[keys[key]] = _cell(value)
    if not cells:
        return [""] * max(len(keys), 1)
    return [cells.get(index, "") for index in range(max(len(keys), 1))]


def _flatten(record: dict[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, dict) and depth < DEEPEST:
            yield from _flatten(value, f"{prefix}{key}.", depth + 1)
        elif isinstance(value, list):
            yield f"{prefix}{key}.length", len(value)
            yield f"{prefix}{key}.first", value[0] if value else None
        else:
            yield f"{prefix}{key}", value


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
    return json.dumps(value, ensure_ascii=True)
