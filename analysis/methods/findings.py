"""A finding: one thing worth knowing about the data, with the numbers that prove it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from .wording import Number, fill, round_number

Severity = Literal["high", "medium", "low", "info"]
Chart = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement and its proof.

    `score` (0..1) is the size of the effect. `evidence` holds every number that the title and the
    sentence show, rounded the same way. `n` is the number of cells or rows looked at, `sampled`
    whether they are a part of the file. `sql` reproduces the main number on the table `data`.
    """

    id: str
    kind: str
    title: str
    sentence: str
    severity: Severity
    score: float
    columns: tuple[str, ...]
    evidence: Mapping[str, Number]
    method: str
    n: int
    sql: str | None = None
    sampled: bool = False
    caveat: str | None = None
    chart: Chart | None = None

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON-able data."""
        return {**asdict(self), "columns": list(self.columns), "evidence": dict(self.evidence)}


def describe(
    kind: str,
    title: str,
    sentence: str,
    evidence: Mapping[str, Number],
    *,
    method: str,
    n: int,
    severity: Severity = "medium",
    score: float = 0.5,
    columns: Sequence[str] = (),
    words: Mapping[str, str] | None = None,
    sql: str | None = None,
    sampled: bool = False,
    caveat: str | None = None,
    chart: Chart | None = None,
) -> Finding:
    """A finding whose title and sentence are templates, filled from the evidence and the words."""
    rounded = {name: round_number(value) for name, value in evidence.items()}
    spoken = words or {}
    return Finding(
        id="",
        kind=kind,
        title=fill(title, rounded, spoken),
        sentence=fill(sentence, rounded, spoken),
        severity=severity,
        score=round(min(max(score, 0.0), 1.0), 4),
        columns=tuple(columns),
        evidence=rounded,
        method=method,
        n=n,
        sql=sql,
        sampled=sampled,
        caveat=caveat,
        chart=chart,
    )
