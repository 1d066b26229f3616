"""The database of one analysis: small, locked to one folder, thrown away at the end."""

from pathlib import Path

import duckdb

from .identifiers import literal
from .limits import Limits


def connect(scratch: Path, limits: Limits) -> duckdb.DuckDBPyConnection:
    """A database inside `scratch` that can read and write nothing else, and cannot be told otherwise."""
    con = duckdb.connect(
        str(scratch / "analysis.duckdb"),
        config={
            "memory_limit": limits.memory,
            "threads": limits.threads,
            "temp_directory": str(scratch / "spill"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    # The data is read a few times and thrown away: compressing it costs more than it saves.
    con.execute("SET force_compression = 'uncompressed'")
    con.execute(f"SET allowed_directories = [{literal(str(scratch) + '/')}]")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con
