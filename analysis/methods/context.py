"""What the stages know so far. Each stage returns a new Context with its part filled in."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from .findings import Finding
from .limits import Limits, Options
from .progress import Reporter
from .tables import Loaded, Profile, Source, Summary


@dataclass(frozen=True, slots=True)
class Context:
    """Everything an analysis method may use.

    `con` holds the table `data` once the load stage is over; `scratch` is the only folder that the
    database may touch.
    """

    con: duckdb.DuckDBPyConnection
    scratch: Path
    source: Source
    reporter: Reporter
    limits: Limits = field(default_factory=Limits)
    options: Options = field(default_factory=Options)
    loaded: Loaded = field(default_factory=Loaded)
    profile: Profile = field(default_factory=Profile)
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    summary: Summary = field(default_factory=Summary)
    report: dict[str, Any] = field(default_factory=dict)

    def progress(self, fraction: float, message: str = "") -> None:
        """This much (0..1) of the current stage is done."""
        self.reporter.progress(fraction, message)

    def check_cancelled(self) -> None:
        """Call it in every loop: it raises what the caller wants when the analysis shall stop."""
        self.reporter.check_cancelled()

    def query(self, sql: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
        """All rows of a query. An interrupted query asks the caller first what to raise."""
        self.check_cancelled()
        try:
            rows: list[tuple[Any, ...]] = self.con.execute(sql, parameters or []).fetchall()
        except duckdb.InterruptException:
            self.check_cancelled()
            raise
        return rows
