"""Axes: rules and numbers below or beside a plot, kept apart and inside the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .scale import tick_words
from .svg import FONT, SMALLEST_GAP, WIDTH, join, rule, width, words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.utils.safestring import SafeString

BELOW = 20  # what an x axis needs under the plot


def x_axis(marks: list[float], place: Callable[[float], float], top: float, bottom: float, unit: str) -> SafeString:
    """Numbers under the plot; the last one carries the unit."""
    told = tick_words(marks)
    parts = [rule(place(mark), top, place(mark), bottom) for mark in marks]
    if unit:
        told[-1] = f"{told[-1]}{unit}" if unit.startswith("%") else f"{told[-1]} {unit}"
    parts.append(x_words([place(mark) for mark in marks], told, bottom))
    return join(*parts)


def x_words(places: Sequence[float], told: Sequence[str], bottom: float, room: float = 120) -> SafeString:
    """Texts centred under their places; those that would touch their neighbour or the last are left out."""
    parts: list[SafeString] = []
    last = len(told) - 1
    taken, limit = -1e9, float(WIDTH)
    for at in [last, *range(last)]:
        half = min(width(told[at]), room) / 2 + 1
        x = max(half, min(WIDTH - half, places[at]))
        if at != last and (x - half < taken + SMALLEST_GAP or x + half > limit - SMALLEST_GAP):
            continue
        parts.append(words(x, bottom + FONT + 4, told[at], room=room, text_anchor="middle"))
        if at == last:
            limit = x - half
        else:
            taken = x + half
    return join(*parts)


def y_gutter(marks: list[float]) -> float:
    return max(width(text) for text in tick_words(marks)) + 8


def y_axis(marks: list[float], place: Callable[[float], float], left: float, right: float) -> SafeString:
    parts = []
    for mark, text in zip(marks, tick_words(marks), strict=True):
        y = place(mark)
        parts.append(rule(left, y, right, y, strong=not mark))
        parts.append(words(left - 6, y + 4, text, text_anchor="end"))
    return join(*parts)
