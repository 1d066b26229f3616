"""The decision on a lost attempt, over every combination of facts."""

from __future__ import annotations

from itertools import product

import pytest

from taskcenter.verdicts import TABLE, Chances, Facts, Ran, chances, decide

EVERY = [Facts(*facts) for facts in product((True, False), (True, False), Ran, Chances)]


def expected(facts: Facts) -> tuple[str, str]:
    """The rules in words: who lives is left alone; a cancel is obeyed; only a crash that is proved counts as one."""
    if facts.alive:
        return "left_alone", ""
    counts = "crashes" if facts.ran is Ran.YES else "interrupted"
    if facts.cancel:
        return "cancelled", counts
    if facts.ran is Ran.YES and facts.chances is not Chances.SOME:
        return "failed", counts
    return "again", counts


@pytest.mark.parametrize("facts", EVERY, ids=str)
def test_every_combination_has_its_verdict(facts: Facts) -> None:
    row = decide(facts)
    assert (row.verdict, row.counts) == expected(facts)
    said = row.text.format(cause="Its worker is gone.")
    assert said.endswith(".")
    assert "{" not in said


def test_no_row_is_idle() -> None:
    assert {decide(facts) for facts in EVERY} == set(TABLE)


@pytest.mark.parametrize(
    ("crashes", "max_crashes", "left"),
    [(0, 3, Chances.SOME), (1, 3, Chances.SOME), (2, 3, Chances.NONE), (7, 3, Chances.NONE), (0, 1, Chances.NONE)],
)
def test_chances_are_what_is_left_after_this_crash(crashes: int, max_crashes: int, left: Chances) -> None:
    assert chances(crashes, max_crashes) is left


@pytest.mark.parametrize("crashes", [0, 1])
def test_at_most_once_is_a_case_of_its_own(crashes: int) -> None:
    assert chances(crashes, 0) is Chances.ONCE
