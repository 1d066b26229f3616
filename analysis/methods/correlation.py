"""Which numbers rise and fall together: rank correlation, with a gate against chance."""

import math

from .context import Context
from .findings import Chart, Finding, describe
from .identifiers import name
from .registry import method
from .tables import NUMERIC, ColumnProfile
from .wording import quote

MOST_COLUMNS = 20
MOST_ROWS = 50_000
FEWEST_ROWS = 30
WEAKEST = 0.2
CHANCE = 0.01
MOST_FINDINGS = 8

Pair = tuple[ColumnProfile, ColumnProfile, float, int]


def _measures(context: Context) -> list[ColumnProfile]:
    usable = [c for c in context.profile.of(*NUMERIC) if c.distinct > 2 and c.semantic != "id"]
    return [c for c in usable if c.present >= FEWEST_ROWS][:MOST_COLUMNS]


@method("correlation", title="What moves together", weight=7, applies=lambda context: len(_measures(context)) > 1)
def correlation(context: Context) -> list[Finding]:
    """The strongest pair of each group of columns that move together."""
    step = max(math.ceil(context.loaded.rows / MOST_ROWS), 1)
    columns = _measures(context)
    pairs = _correlate(context, columns, step)
    known = {f.columns for f in context.findings if f.kind in ("linear_multiple", "duplicate_columns")}
    real = [pair for pair in _beyond_chance(pairs) if _names(pair) not in known and _names(pair)[::-1] not in known]
    chart = _heat(columns, pairs)
    return [_moving(pair, step > 1, chart if not at else None) for at, pair in enumerate(_strongest(real))]


def _names(pair: Pair) -> tuple[str, str]:
    return pair[0].name, pair[1].name


def _correlate(context: Context, columns: list[ColumnProfile], step: int) -> list[Pair]:
    """Every pair with the correlation of its ranks, over the rows where both columns are filled."""
    ranks = ", ".join(f"{_rank(name(column.name))} AS c{i}" for i, column in enumerate(columns))
    context.query(f"CREATE OR REPLACE TEMP TABLE ranks AS SELECT {ranks} FROM data WHERE rowid % {step} = 0")
    pairs: list[Pair] = []
    for i, column in enumerate(columns[:-1]):
        context.progress(0.5 + 0.5 * i / len(columns), "Comparing columns")
        pairs += _with_later(context, columns, i, column)
    context.query("DROP TABLE ranks")
    return pairs


def _rank(column: str) -> str:
    """The place of a value among the filled cells; equal values share their middle place."""
    place = f"rank() OVER (ORDER BY {column} NULLS LAST) + (count(*) OVER (PARTITION BY {column}) - 1) / 2.0"
    return f"CASE WHEN {column} IS NOT NULL THEN {place} END"


def _with_later(context: Context, columns: list[ColumnProfile], i: int, column: ColumnProfile) -> list[Pair]:
    later = range(i + 1, len(columns))
    parts = ", ".join(f"corr(c{i}, c{j}), count(c{i} + c{j})" for j in later)
    row = context.query(f"SELECT {parts} FROM ranks")[0]
    return [
        (column, columns[j], _usable(row[2 * at], row[2 * at + 1]), int(row[2 * at + 1])) for at, j in enumerate(later)
    ]


def _usable(rho: float | None, n: int) -> float:
    """Nine digits are the same on every run; no strength at all where there is too little to go by."""
    return round(float(rho), 9) if rho is not None and math.isfinite(rho) and n >= FEWEST_ROWS else 0.0


def _beyond_chance(pairs: list[Pair]) -> list[Pair]:
    """Pairs that are strong enough and survive the control for many comparisons (Benjamini-Hochberg)."""
    ordered = sorted(pairs, key=_chance)
    kept = 0
    for place, pair in enumerate(ordered, start=1):
        if _chance(pair) <= CHANCE * place / len(ordered):
            kept = place
    return [pair for pair in ordered[:kept] if abs(pair[2]) >= WEAKEST]


def _chance(pair: Pair) -> float:
    """The share of shuffled columns that would look as strong (normal approximation)."""
    _, _, rho, n = pair
    if n < FEWEST_ROWS:
        return 1.0
    z = math.atanh(max(min(rho, 0.999999), -0.999999)) * math.sqrt((n - 3) / 1.06)
    return math.erfc(abs(z) / math.sqrt(2))


def _strongest(pairs: list[Pair]) -> list[Pair]:
    """Strongest first; a pair is left out when both columns have already been named."""
    chosen: list[Pair] = []
    named: set[str] = set()
    for pair in sorted(pairs, key=lambda pair: (-abs(pair[2]), *_names(pair))):
        if not set(_names(pair)) <= named and len(chosen) < MOST_FINDINGS:
            chosen.append(pair)
            named |= set(_names(pair))
    return chosen


def _moving(pair: Pair, sampled: bool, chart: Chart | None) -> Finding:
    a, b, rho, n = pair
    how = "is usually high, too" if rho > 0 else "is usually low"
    return describe(
        "strong_correlation",
        "{a} and {b} move " + ("together" if rho > 0 else "against each other"),
        "Where {a} is high, {b} " + how + ": a strength of {rho} on a scale that ends at {end}, over {n} rows.",
        {"rho": rho, "n": n, "end": 1 if rho > 0 else -1},
        words={"a": quote(a.name), "b": quote(b.name)},
        columns=[a.name, b.name],
        method="Both columns are replaced by their ranks and compared; pairs that chance could give are left out.",
        n=n,
        sampled=sampled,
        severity="info",
        score=abs(rho),
        caveat="Moving together does not tell why.",
        chart=chart,
    )


def _heat(columns: list[ColumnProfile], pairs: list[Pair]) -> Chart:
    labels = [column.name for column in columns]
    values: dict[tuple[str, str], float] = {(label, label): 1.0 for label in labels}
    for a, b, rho, _ in pairs:
        values[a.name, b.name] = values[b.name, a.name] = round(rho, 2)
    return {
        "kind": "heat", "title": "What moves together", "unit": "",
        "finding": "The stronger the colour, the more two columns rise and fall together.",
        "rows": labels, "columns": labels,
        "values": [[values.get((row, column)) for column in labels] for row in labels],
    }  # fmt: skip
