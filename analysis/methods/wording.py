"""Numbers and names in sentences: one rounding rule, one way to write a number, one way to quote.

Templates hold no digits: every number in a sentence comes from the evidence of its finding, through
`fill`, so that nothing can be said that was not computed.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

LONGEST_QUOTE = 60
HUGE = 1e15
THOUSAND = 1_000

Number = int | float


def round_number(value: Number) -> Number:
    """The value as it is shown: whole from 1,000 on, two decimals from 1 on, else three digits."""
    if isinstance(value, int):
        return value
    if abs(value) >= HUGE or not isfinite(value):
        return float(f"{value:.3g}")
    if abs(value) >= THOUSAND:
        return round(value)
    rounded = round(value, 2) if abs(value) >= 1 else float(f"{value:.3g}")
    return int(rounded) if rounded == int(rounded) else rounded


def show(value: Number) -> str:
    """The number as text, with a comma between thousands: `1,234.5`."""
    number = round_number(value)
    if isinstance(number, int):
        return f"{number:,}"
    if abs(number) >= HUGE or 0 < abs(number) < 1e-9:
        return f"{number:.3g}"
    return f"{number:,.12f}".rstrip("0").rstrip(".")


def percent(part: Number, whole: Number) -> Number:
    """How many of a hundred, rounded as shown; nothing of nothing is 0."""
    return round_number(100 * part / whole) if whole else 0


def plain(text: object) -> str:
    """Untrusted text on one line: control characters become spaces, long text is cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"


def quote(text: object) -> str:
    """A name or a value from the file, in curly quotes, so that its digits are not taken for ours."""
    return "“" + plain(text).replace("“", '"').replace("”", '"') + "”"


def quote_all(texts: list[str] | tuple[str, ...]) -> str:
    """Names joined as in a sentence: “a”, “b” and “c”."""
    names = [quote(text) for text in texts]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


class _Shown:
    """A number inside a template; `{rows:row|rows}` adds the noun that fits."""

    def __init__(self, value: Number) -> None:
        self.value = value

    def __format__(self, nouns: str) -> str:
        if not nouns:
            return show(self.value)
        one, many = nouns.split("|")
        return f"{show(self.value)} {one if self.value == 1 else many}"


def fill(template: str, evidence: Mapping[str, Number], words: Mapping[str, str]) -> str:
    """The template with numbers from the evidence and quoted words. KeyError when a slot has neither."""
    slots: dict[str, Any] = {**words, **{name: _Shown(value) for name, value in evidence.items()}}
    return template.format_map(slots)
