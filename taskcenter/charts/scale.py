"""From values to places and words: nice ticks, linear scales, numbers as people write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, SupportsFloat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

LARGEST = 1e290  # beyond this, sums and spans overflow
TINIEST = 1e-290
SIGNIFICANT = 3
EXACT = 1e15  # every whole number below is one float
SUFFIXES = ((1e12, "T"), (1e9, "B"), (1e6, "M"))
WORDLESS = 1e-4  # smaller numbers read best with an exponent
ATTACHED = ("%", "°", "‰")
MISSING = "–"  # noqa: RUF001 an en dash is how tables write "no value"


def finite(value: SupportsFloat | None) -> float | None:
    """The value as a float that can be drawn, or None: NaN, infinities and monsters count as missing."""
    try:
        number = math.nan if value is None else float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    return number if abs(number) <= LARGEST else None


def present(values: Iterable[SupportsFloat | None]) -> list[float]:
    return [number for value in values if (number := finite(value)) is not None]


def linear(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """A function that carries low..high onto start..end."""
    span = high - low
    if span <= 0:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / span * (end - start)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers that enclose low..high; never fewer than two."""
    if high - low <= max(abs(low), abs(high)) * 1e-9 + TINIEST:
        pad = abs(high) / 2 or 1.0
        low, high = low - pad, high + pad
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if rough <= power * factor * 1.0001)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_words(places: Sequence[float]) -> list[str]:
    """One text per tick, all with the same number of decimals and the same suffix."""
    largest = max(abs(place) for place in places)
    step = places[1] - places[0]
    if largest >= EXACT or largest < WORDLESS:
        return [f"{place:.3g}" for place in places]
    divisor, suffix = next(((size, word) for size, word in SUFFIXES if largest >= size), (1.0, ""))
    small = step / divisor
    decimals = max(0, -math.floor(math.log10(small) + 1e-9))
    if decimals and not math.isclose(small * 10**decimals, round(small * 10**decimals)):
        decimals += 1  # steps of 2.5 need one more
    elif not decimals and not math.isclose(small, round(small)):
        decimals = 1
    return [f"{place / divisor + 0.0:,.{decimals}f}{suffix if place else ''}" for place in places]


def number(value: SupportsFloat | None, unit: str = "") -> str:
    """Three significant digits, thousands separated: 1,204 · 0.037 · 1.2M · 62% · 40 s."""
    plain = finite(value)
    return MISSING if plain is None else _with_unit(_short(plain), unit)


def exact(value: SupportsFloat | None) -> str:
    """For data tables: whole numbers in full, others with six significant digits."""
    plain = finite(value)
    if plain is None:
        return MISSING
    return f"{int(plain):,}" if _is_whole(plain) else f"{plain:,.6g}"


def _short(value: float) -> str:
    size = abs(value)
    if value and (size >= EXACT or size < WORDLESS):
        return f"{value:.3g}"
    for divisor, suffix in SUFFIXES:
        if size >= divisor:
            return _rounded(value / divisor) + suffix
    return f"{int(value):,}" if _is_whole(value) else _rounded(value)


def _rounded(value: float) -> str:
    decimals = max(0, SIGNIFICANT - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_whole(value: float) -> bool:
    return value.is_integer() and abs(value) < EXACT


def _with_unit(text: str, unit: str) -> str:
    if not unit:
        return text
    return text + unit if unit.startswith(ATTACHED) else f"{text} {unit}"


def stack(values: Sequence[float | None]) -> list[tuple[int, float, float, float]]:
    """(series, from, to, value) of each piece: positive ones grow up from zero, negative ones down."""
    above = below = 0.0
    pieces = []
    for series, value in enumerate(values):
        if not value:
            continue
        if value > 0:
            pieces.append((series, above, above + value, value))
            above += value
        else:
            pieces.append((series, below, below + value, value))
            below += value
    return pieces


def stack_range(stacks: Sequence[Sequence[float | None]]) -> tuple[float, float]:
    ends = [end for values in stacks for _, _, end, _ in stack(values)]
    return min(0.0, *ends, 0.0), max(0.0, *ends, 0.0) or float(not ends)
