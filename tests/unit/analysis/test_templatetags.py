"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from analysis.templatetags.analysis import span


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0.0 s"), (0.44, "0.4 s"), (12.3, "12 s"), (60, "1 min 0 s"), (200, "3 min 20 s")]
)
def test_a_span_is_told_in_its_largest_units(seconds: float, told: str) -> None:
    assert span(timedelta(seconds=seconds)) == told


def test_nothing_is_nothing() -> None:
    assert span(None) == ""
