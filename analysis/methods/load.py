"""Stage 2: the file becomes the table `data`, every column with its type; bad rows are left out, not hidden."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

from .context import Context
from .csv_reading import read_delimited
from .decoding import transcode
from .exceptions import NoColumns, TooManyBadRows
from .json_reading import read_json
from .parquet_reading import read_parquet
from .raw import Raw
from .typing_columns import build_data
from .wording import percent, show

MOST_REJECTED_PERCENT = 50


def load(context: Context) -> Context:
    """Fills in `loaded` and makes `data`. Raises InputError when too little of the file is usable."""
    raw = _read(context)
    _check(context, raw)
    columns = build_data(context, raw)
    rows = int(context.query("SELECT count(*) FROM data")[0][0])
    return replace(context, loaded=replace(raw.loaded, rows=rows, columns=columns))


def _read(context: Context) -> Raw:
    file = _bring_inside(context)
    context.progress(0.2, "Reading the rows")
    match context.source.format:
        case "parquet":
            return read_parquet(context, file)
        case "jsonl" | "json":
            return read_json(context, file)
        case _:
            return read_delimited(context, file)


def _bring_inside(context: Context) -> Path:
    """The file under a name of ours in the scratch folder, the only place the database may read."""
    target = context.scratch / "source"
    if context.source.needs_transcoding:
        transcode(context, target)
        return target
    try:
        os.link(context.source.path.resolve(), target)
    except OSError:  # another disk, or a file system without links
        shutil.copyfile(context.source.path, target)
    return target


def _check(context: Context, raw: Raw) -> None:
    loaded = raw.loaded
    if not raw.names:
        raise NoColumns("The file has no columns.", hint="Check the export; there is nothing to analyse.")
    kept = int(context.query("SELECT count(*) FROM raw")[0][0])
    share = percent(loaded.rejected, kept + loaded.rejected)
    if share > MOST_REJECTED_PERCENT:
        lines = ", ".join(show(line) for line in loaded.rejected_lines)
        raise TooManyBadRows(
            f"{show(loaded.rejected)} of {show(kept + loaded.rejected)} rows do not fit the columns.",
            where=f"The first bad lines are {lines}." + _quote_hint(loaded.unclosed_quote),
            hint="Check the delimiter, the quote marks and the number of cells in each row.",
        )


def _quote_hint(line: int | None) -> str:
    return f" A quote mark opened on line {show(line)} is never closed." if line else ""
