"""Elements, escaping, and text that fits.

Everything a chart prints passes through `tag`, which escapes whatever is not already safe. Colours are
written twice: as presentation attributes, for PDF and mail, and as classes, which win where our style
sheet is loaded and so follow the theme.
"""

from __future__ import annotations

import re
import unicodedata

from django.utils.html import conditional_escape
from django.utils.safestring import SafeString, mark_safe

WIDTH = 360
FONT = 12
SMALLEST_GAP = 6
CHARACTER = 7.3  # average advance of a 12 px sans serif, on the wide side
NARROW, BROAD = frozenset("iljtfrI.,:;'|!()[] "), frozenset("mwMWGOQ@%&—…")
LONGEST = 120  # code points of a label that are looked at before it is cut

INK, QUIET, RULE, SURFACE = "#303640", "#5c6470", "#d5d9df", "#ffffff"
SERIES = ("#1f5fa8", "#b4540a", "#1c6b3a", "#7a3aa8", "#b0246b", "#0b6f80")
LINE_DASHES = (None, "7 3", "2 3", "9 3 2 3", "4 2", "12 4")
HATCHES = (None, "3 2", "1 3", "6 3", "1 1.5", "5 2 1 2")

EMPTY_ELEMENTS = {"circle", "line", "path", "rect"}
# Control characters, surrogates and marks that turn the direction of text: XML forbids some, all can lie.
UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def clean(text: object) -> str:
    return UNPRINTABLE.sub("\ufffd", str(text))


def tag(name: str, *children: object, **attributes: object) -> SafeString:
    """`tag("rect", class_="tc-fill", stroke_width=2)`; None leaves an attribute out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children and name in EMPTY_ELEMENTS:
        return _safe(f"<{name}{written}/>")
    return _safe(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: object) -> SafeString:
    return _safe("".join(_escaped(child) for child in children if child is not None))


def _escaped(child: object) -> str:
    return child if isinstance(child, SafeString) else conditional_escape(clean(child))


def _attribute(value: object) -> str:
    return short(value) if isinstance(value, float) else conditional_escape(clean(value))


def _safe(markup: str) -> SafeString:
    return mark_safe(markup)  # noqa: S308 the only door: tag and join have escaped every part


def short(value: float) -> str:
    """A coordinate to a tenth of a pixel, in as few bytes as it takes."""
    text = f"{value:.1f}"
    return text.removesuffix(".0")


def width(text: str) -> float:
    """A guess, good enough to keep words apart without a font at hand."""
    return sum(_advance(character) for character in text)


def _advance(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return FONT
    return 4.8 if character in NARROW else 11.0 if character in BROAD else CHARACTER + character.isupper()


def cut(text: object, room: float) -> str:
    """The text, shortened with an ellipsis until it fits into `room` pixels."""
    words = " ".join(clean(text).split())
    if len(words) <= LONGEST and width(words) <= room:
        return words
    kept, used = "", _advance("…")
    for character in words[:LONGEST]:
        used += _advance(character)
        if used > room:
            break
        kept += character
    return kept.rstrip() + "…"


def words(x: float, y: float, text: object, *, room: float = WIDTH, **attributes: object) -> SafeString:
    """A text element; what had to be cut is told in full by its title."""
    shown = cut(text, room)
    whole = " ".join(clean(text).split())
    title = tag("title", whole) if shown != whole else None
    return tag("text", shown, title, x=float(x), y=float(y), **attributes)


def fill(series: int) -> dict[str, object]:
    token = series % len(SERIES)
    return {"class_": f"tc-s{token + 1} tc-fill", "fill": SERIES[token]}


def stroke(series: int) -> dict[str, object]:
    token = series % len(SERIES)
    return {
        "class_": f"tc-s{token + 1} tc-line",
        "stroke": SERIES[token],
        "fill": "none",
        "stroke_width": 2,
        "stroke_dasharray": LINE_DASHES[(series + series // len(SERIES)) % len(LINE_DASHES)],
    }


def block(series: int, x: float, y: float, wide: float, high: float, *, title: str | None = None) -> SafeString:
    """A filled piece of a stack. Stripes tell it apart without colour: a dashed line as wide as the piece,
    which needs no pattern and so no id."""
    dashes = HATCHES[(series + series // len(SERIES)) % len(HATCHES)]
    told = tag("title", title) if title else None
    piece = tag("rect", *([told] if told else []), x=x, y=y, width=wide, height=high, **fill(series))
    if dashes is None or min(wide, high) < 1:
        return piece
    lies = wide > high
    way = (
        f"M{short(x)} {short(y + high / 2)}h{short(wide)}"
        if lies
        else f"M{short(x + wide / 2)} {short(y)}v{short(high)}"
    )
    stripes = tag(
        "path",
        d=way,
        class_="tc-hatch",
        stroke=SURFACE,
        stroke_opacity="0.4",
        stroke_width=high if lies else wide,
        stroke_dasharray=dashes,
        pointer_events="none",
    )
    return join(piece, stripes)


def marker(series: int, x: float, y: float, title: str) -> SafeString:
    shapes = (
        "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "m-3-3h6v6h-6z", "m0-4l4 7h-8z",
        "m0-4l4 4-4 4-4-4z", "m0 4l4-7h-8z", "m-4-1h3v-3h2v3h3v2h-3v3h-2v-3h-3z",
    )  # fmt: skip
    shape = shapes[(series + series // len(SERIES)) % len(shapes)]
    return tag("path", tag("title", title), d=f"M{short(x)} {short(y)}{shape}", **fill(series))


def rule(x1: float, y1: float, x2: float, y2: float, *, strong: bool = False) -> SafeString:
    d = f"M{short(x1)} {short(y1)}" + (f"H{short(x2)}" if y1 == y2 else f"V{short(y2)}")
    return tag("path", d=d, class_="tc-rule-strong" if strong else "tc-rule", stroke=QUIET if strong else RULE)


def legend(names: list[str], *, lines: bool = False, y: float = 0) -> tuple[SafeString, float]:
    """Swatches and names, wrapped; and the height they take. One series needs none: the title names it."""
    if len(names) <= 1:
        return join(), 0.0
    parts, x, row = [], 0.0, y + FONT
    for series, name in enumerate(names):
        shown = cut(name, 140)
        step = 26 + width(shown) + 2 * SMALLEST_GAP
        if x and x + step > WIDTH:
            x, row = 0.0, row + 18
        if lines:
            sample = tag("path", d=f"M{short(x)} {short(row - 4)}h20", **stroke(series))
            parts += [sample, marker(series, x + 10, row - 4, name)]
        else:
            parts.append(block(series, x, row - 10, 20.0, 11.0))
        parts.append(words(x + 25, row, name, room=140))
        x += step
    return join(*parts), row - y + 10
