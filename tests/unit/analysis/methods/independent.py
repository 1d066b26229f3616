"""The numbers of the findings once more, from the file, with the csv module and nothing of ours.

Slow and plain on purpose: this is the second opinion. `recompute` knows each kind of finding.
"""

import csv
import statistics
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

WORDS = {"-", "--", "---", ".", "?", "#n/a", "#na", "#null!", "n.a.", "n/a", "na", "nan", "nil", "none",
         "not available", "null", "tbd", "unknown", "missing", "(null)", "<na>", "(blank)"}  # fmt: skip
SENTINELS = {-9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999}
TODAY = "2026-01-01"

Evidence = dict[str, float]


def shown(value: float) -> float:
    """Whole from 1,000 on, two decimals from 1 on, three digits below."""
    if abs(value) >= 1000:
        return round(value)
    return round(value, 2) if abs(value) >= 1 else float(f"{value:.3g}")


def share(part: float, whole: float) -> float:
    return shown(100 * part / whole)


class Table:
    """A file in memory: header, rows, and columns as text or numbers."""

    def __init__(self, path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            self.header, *self.rows = list(csv.reader(file))

    def text(self, name: str) -> list[str]:
        at = self.header.index(name)
        return [row[at] for row in self.rows]

    def numbers(self, name: str) -> list[float | None]:
        return [number(cell) for cell in self.text(name)]

    def is_numeric(self, name: str) -> bool:
        cells = [cell for cell in self.text(name) if cell.strip() and cell.strip().lower() not in WORDS]
        return sum(number(cell) is not None for cell in cells) >= 0.95 * len(cells)

    def gaps(self, name: str) -> list[bool]:
        if self.is_numeric(name):
            return [value is None for value in self.numbers(name)]
        return [cell == "" for cell in self.text(name)]


def number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return None if value != value else value  # noqa: PLR0124 - not a number


def ranks(values: list[float]) -> list[float]:
    ordered = sorted(values)
    first: dict[float, int] = {}
    for place, value in enumerate(ordered):
        first.setdefault(value, place)
    count = Counter(values)
    return [first[value] + (count[value] + 1) / 2 for value in values]


def missing(table: Table, columns: list[str]) -> Evidence:
    gaps = table.gaps(columns[0])
    return {"missing": sum(gaps), "rows": len(gaps), "share": share(sum(gaps), len(gaps))}


def co_missing(table: Table, columns: list[str]) -> Evidence:
    gaps = list(zip(*(table.gaps(name) for name in columns), strict=True))
    both, either = sum(map(all, gaps)), sum(map(any, gaps))
    return {"both": both, "either": either, "share": share(both, either)}


def disguised_missing(table: Table, columns: list[str]) -> Evidence:
    cells = table.text(columns[0])
    words = sum(cell.strip().lower() in WORDS for cell in cells)
    sentinels = sum(number(cell) in SENTINELS for cell in cells)
    found = words or sentinels
    return {"cells": found, "rows": len(cells), "share": share(found, len(cells))}


def duplicate_rows(table: Table, _columns: list[str]) -> Evidence:
    total = len(table.rows)
    copies = total - len({tuple(row) for row in table.rows})
    return {"copies": copies, "rows": total, "share": share(copies, total)}


def constant(table: Table, columns: list[str]) -> Evidence:
    cells = [cell for cell in table.text(columns[0]) if cell]
    assert len(set(cells)) == 1
    return {"present": len(cells)}


def id_like(table: Table, columns: list[str]) -> Evidence:
    cells = [cell for cell in table.text(columns[0]) if cell]
    repeated = len(cells) - len(set(cells))
    evidence: Evidence = {"distinct": len(set(cells)), "present": len(cells)}
    return evidence | ({"repeated": repeated} if repeated else {})


def numbers_as_text(table: Table, columns: list[str]) -> Evidence:
    cells = [cell for cell in table.text(columns[0]) if cell and cell.strip().lower() not in WORDS]
    numeric = sum(
        number(cell.replace("€", "").strip().replace(".", "").replace(",", ".")) is not None for cell in cells
    )
    return {"cells": numeric, "filled": len(cells), "share": share(numeric, len(cells))}


def variants(table: Table, columns: list[str]) -> Evidence:
    spellings: dict[str, Counter[str]] = {}
    cells = [cell for cell in table.text(columns[0]) if cell]
    for cell in cells:
        spellings.setdefault(" ".join(cell.lower().split()), Counter())[cell] += 1
    several = [counted for counted in spellings.values() if len(counted) > 1]
    rarer = sum(counted.total() - max(counted.values()) for counted in several)
    return {"groups": len(several), "cells": rarer, "present": len(cells), "share": share(rarer, len(cells))}


def impossible(table: Table, columns: list[str]) -> Evidence:
    values = [value for value in table.numbers(columns[0]) if value is not None]
    aged = "age" in columns[0].split("_")
    wrong = [value for value in values if (value > 120 if aged else value < 0)]
    evidence = {"cells": len(wrong), "present": len(values), "share": share(len(wrong), len(values)),
                "lowest": min(wrong)}  # fmt: skip
    return evidence | ({"oldest": 120} if aged else {})


def future_dates(table: Table, columns: list[str]) -> Evidence:
    cells = [cell for cell in table.text(columns[0]) if cell]
    later = [cell for cell in cells if date.fromisoformat(cell) > date.fromisoformat(TODAY)]
    return {"cells": len(later), "present": len(cells), "share": share(len(later), len(cells))}


def linear_multiple(table: Table, columns: list[str]) -> Evidence:
    pairs = [
        (a, b)
        for a, b in zip(table.numbers(columns[0]), table.numbers(columns[1]), strict=True)
        if a is not None and b is not None
    ]
    factor = float(f"{statistics.median(b / a for a, b in pairs if a):.3g}")
    fitting = sum(abs(b - factor * a) <= 0.00501 for a, b in pairs)
    return {"factor": factor, "fitting": fitting, "rows": len(pairs), "share": share(fitting, len(pairs))}


def pii(table: Table, columns: list[str]) -> Evidence:
    counted = Counter(cell for cell in table.text(columns[0]) if cell)
    looked_at = sorted(counted, key=lambda value: (-counted[value], value))[:60]
    matched = sum(value.count("@") == 1 and "." in value.split("@")[1] for value in looked_at)
    return {"matched": matched, "checked": len(looked_at)}


def outliers(table: Table, columns: list[str]) -> Evidence:
    values = [value for value in table.numbers(columns[0]) if value is not None]
    farthest, middle = max(values), statistics.median(values)
    far = sum(value > 100 * middle for value in values)
    row = table.numbers(columns[0]).index(farthest) + 1
    return {"cells": far, "row": row, "value": shown(farthest), "median": shown(middle),
            "times": shown(farthest / middle)}  # fmt: skip


def strong_correlation(table: Table, columns: list[str]) -> Evidence:
    pairs = [
        (a, b)
        for a, b in zip(table.numbers(columns[0]), table.numbers(columns[1]), strict=True)
        if a is not None and b is not None
    ]
    rho = statistics.correlation(ranks([a for a, _ in pairs]), ranks([b for _, b in pairs]))
    return {"rho": shown(rho), "n": len(pairs), "end": 1 if rho > 0 else -1}


def functional_dependency(table: Table, columns: list[str]) -> Evidence:
    pairs = [(a, b) for a, b in zip(*(table.text(name) for name in columns), strict=True) if a and b]
    labels = {a for a, _ in pairs}
    assert len(set(pairs)) == len(labels)
    return {"labels": len(labels), "rows": len(pairs)}


KINDS: dict[str, Callable[[Table, list[str]], Evidence]] = {
    function.__name__: function
    for function in (missing, co_missing, disguised_missing, duplicate_rows, constant, id_like, numbers_as_text,
                     variants, impossible, future_dates, linear_multiple, pii, outliers, strong_correlation,
                     functional_dependency)
}  # fmt: skip


def recompute(table: Table, kind: str, columns: list[str]) -> Evidence:
    """The evidence of a finding; KeyError for a kind that nobody has written a second opinion for."""
    return KINDS[kind](table, columns)
