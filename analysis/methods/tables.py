"""The small frozen values that travel between the stages."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .wording import Number

ColumnType = Literal["integer", "number", "text", "date", "datetime", "boolean"]
NUMERIC: tuple[ColumnType, ...] = ("integer", "number")
TEMPORAL: tuple[ColumnType, ...] = ("date", "datetime")


@dataclass(frozen=True, slots=True)
class Source:
    """The file as it came: `name` is what its owner calls it, never used as a path. Size in bytes."""

    path: Path
    name: str
    size: int = 0
    sha256: str = ""
    format: str = ""
    encoding: str = ""
    lines: int = 0
    nul_bytes: int = 0
    needs_transcoding: bool = False
    encoding_guessed: bool = False


@dataclass(frozen=True, slots=True)
class LoadedColumn:
    """A column of `data`. `unreadable` counts the cells per text that did not fit the column's type."""

    name: str
    original: str
    type: ColumnType
    unreadable: tuple[tuple[str, int], ...] = ()
    unreadable_cells: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came out of the file. `rejected_lines` are the first line numbers that did not fit."""

    rows: int = 0
    columns: tuple[LoadedColumn, ...] = ()
    rejected: int = 0
    rejected_lines: tuple[int, ...] = ()
    delimiter: str = ""
    has_header: bool = True
    preamble: int = 0
    unclosed_quote: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column in numbers. `missing` counts cells without a usable value.

    `unreadable` of them did hold text that is not of the column's type. `top` are the most frequent
    values as text with their counts; quartiles, mean and spread are for numbers only.
    """

    name: str
    type: ColumnType
    rows: int
    missing: int
    unreadable: int
    distinct: int
    semantic: str = "value"
    top: tuple[tuple[str, int], ...] = ()
    low: str | Number | None = None
    high: str | Number | None = None
    mean: float | None = None
    std: float | None = None
    q1: float | None = None
    median: float | None = None
    q3: float | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()

    @property
    def present(self) -> int:
        """How many cells hold a value."""
        return self.rows - self.missing


@dataclass(frozen=True, slots=True)
class Profile:
    """All columns, in the order of the file."""

    rows: int = 0
    columns: tuple[ColumnProfile, ...] = ()

    def of(self, *types: ColumnType) -> tuple[ColumnProfile, ...]:
        """The columns of these types."""
        return tuple(column for column in self.columns if column.type in types)


@dataclass(frozen=True, slots=True)
class Summary:
    """The opening of the report; `evidence` holds every number of the headline and the paragraphs."""

    headline: str = ""
    paragraphs: tuple[str, ...] = ()
    evidence: Mapping[str, Number] | None = None
