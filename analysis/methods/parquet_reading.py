"""Reads Parquet into `raw`. The footer is looked at first: it tells the size before anything is unpacked."""

from dataclasses import replace
from pathlib import Path

import duckdb

from .column_names import unique_names
from .context import Context
from .exceptions import DamagedFile, TooLarge
from .identifiers import literal, name
from .raw import Raw, check_width
from .tables import ColumnType, Loaded
from .wording import show

INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
NUMBERS = ("FLOAT", "DOUBLE", "HUGEINT", "UBIGINT", "UHUGEINT")


def read_parquet(context: Context, file: Path) -> Raw:
    """Makes `raw` with typed columns. Raises DamagedFile or TooLarge."""
    try:
        return _read(context, literal(str(file)))
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise DamagedFile(
            "This Parquet file is corrupted and cannot be read.", hint="Export it again and send that."
        ) from error


def _read(context: Context, file: str) -> Raw:
    _check_footer(context, file)
    described = context.query(f"DESCRIBE SELECT * FROM read_parquet({file})")
    originals = tuple(str(row[0]) for row in described)
    check_width(context, len(originals))
    types = tuple(_type(str(row[1])) for row in described)
    cells = ", ".join(
        f"{_cast(name(original), str(row[1]))} AS c{index}"
        for index, (original, row) in enumerate(zip(originals, described, strict=True))
    )
    limit = context.limits.max_rows
    context.query(f"CREATE TABLE raw AS SELECT {cells} FROM read_parquet({file}) LIMIT {limit + 1}")
    context.query(f"DELETE FROM raw WHERE rowid >= {limit}")
    rows = int(context.query(f"SELECT num_rows FROM parquet_file_metadata({file})")[0][0])
    loaded = replace(Loaded(), truncated=rows > limit)
    return Raw(unique_names(originals, len(originals)), originals, loaded, types)


def _check_footer(context: Context, file: str) -> None:
    unpacked = context.query(f"SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata({file})")
    if int(unpacked[0][0]) > context.limits.max_unpacked_bytes:
        raise TooLarge(
            f"The file unpacks to {show(int(unpacked[0][0]))} bytes;"
            f" at most {show(context.limits.max_unpacked_bytes)} are read.",
            hint="Send fewer rows or columns.",
        )


def _type(sql_type: str) -> ColumnType:
    if sql_type in INTEGERS:
        return "integer"
    if sql_type in NUMBERS or sql_type.startswith("DECIMAL"):
        return "number"
    if sql_type.startswith("TIMESTAMP"):
        return "datetime"
    if sql_type == "DATE":
        return "date"
    return "boolean" if sql_type == "BOOLEAN" else "text"


def _cast(column: str, sql_type: str) -> str:
    match _type(sql_type):
        case "integer":
            return f"{column}::BIGINT"
        case "number":
            return f"CASE WHEN isfinite({column}::DOUBLE) THEN {column}::DOUBLE END"
        case "datetime":
            return f"make_timestamp(epoch_us({column}))"
        case "text":
            return f"nullif({column}::VARCHAR, '')"
        case _:
            return column
