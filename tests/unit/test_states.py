"""The table of moves, against the words of the docs; every pair of states is looked at."""

from __future__ import annotations

from itertools import product

import pytest

from taskcenter.states import DUE_STATES, FINAL, LIVE, MOVES, State, may_move

LEGAL = {
    "blocked": "pending scheduled cancelled failed",
    "scheduled": "pending cancelled",
    "pending": "processing cancelled failed",
    "processing": "completed failed cancelled scheduled pending",
    "completed": "",
    "failed": "pending",
    "cancelled": "pending",
}
"""What the lifecycle page of the docs says, written down once more on purpose."""


@pytest.mark.parametrize(("old", "new"), list(product(State, State)), ids=lambda state: state.value)
def test_a_pair_of_states_is_legal_exactly_if_the_docs_say_so(old: State, new: State) -> None:
    assert may_move(old, new) is (new.value in LEGAL[old.value].split())


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)


def test_a_state_is_either_live_or_final() -> None:
    assert set(State) == FINAL | LIVE
    assert not FINAL & LIVE


def test_only_live_states_can_be_due() -> None:
    assert DUE_STATES < LIVE


@pytest.mark.parametrize("start", sorted(LIVE))
def test_every_live_state_can_reach_every_end(start: State) -> None:
    reached: set[State] = set()
    edge = {start}
    while edge:
        reached |= edge
        edge = {new for old in edge for new in MOVES[old]} - reached
    assert reached >= FINAL


def test_a_finished_task_goes_on_only_by_a_retry() -> None:
    assert {new for old in FINAL for new in MOVES[old]} == {State.PENDING}
    assert not MOVES[State.COMPLETED]


def test_processing_is_entered_only_by_a_claim_of_a_pending_task() -> None:
    assert [old for old in State if may_move(old, State.PROCESSING)] == [State.PENDING]
