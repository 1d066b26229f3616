"""What is enqueued when: orders, made from the seed alone, so that a seed means the same load everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

__all__ = ["KINDS", "OWNERS", "QUEUES", "Kind", "Order", "make_plan"]

QUEUES = ("default", "analysis")
OWNERS = 20
ENQUEUED_WITHIN = 0.8
"""Of the run's time: the rest is for what is still waiting then."""
BUSY = 0.1
"""No kind of long task keeps the slots busy for more than this part of the time."""
ONES = 0.3
"""Of the orders: of a single task, by enqueue()."""
HALF, ROLLED_BACK = 0.04, 0.04
"""Of the orders: followed by a savepoint, or by a transaction, that is rolled back."""

Fate = Literal["kept", "half", "rolled back"]
Arguments = dict[str, Any]
Span = tuple[float, float]


def _nothing(_: Random) -> Arguments:
    return {}


def _seconds(low: float, high: float) -> Callable[[Random], Arguments]:
    return lambda rng: {"seconds": round(rng.uniform(low, high), 4)}


def _times(rng: Random) -> Arguments:
    return {"times": rng.randint(1, 2)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A sort of task: its definition in tests.ledger.soak, its share, and how it may end."""

    name: str
    definition: str
    share: float = 0.0
    ends: tuple[str, ...] = ("completed",)
    arguments: Callable[[Random], Arguments] = _nothing
    largest: int = 20
    """Tasks of one order."""
    costs: float = 0.0
    """Seconds of a slot, about, where these matter."""
    delay: Span | None = None
    """Seconds until it may run."""
    owned: bool = False
    keyed: bool = False


KINDS = (
    Kind(name="quick", definition="quick", largest=200),  # all that the others leave
    Kind(name="nap", definition="nap", share=0.15, largest=60, arguments=_seconds(0.001, 0.02)),
    Kind(name="later", definition="quick", share=0.05, largest=50, delay=(0.5, 4.0)),
    Kind(name="reported", definition="write", share=0.05, owned=True),
    Kind(name="stumbling", definition="stumble", share=0.03, arguments=_times),
    Kind(name="failing", definition="refuse", share=0.02, ends=("failed",), owned=True),
    Kind(
        name="unique",
        definition="nap",
        share=0.02,
        largest=1,
        arguments=_seconds(0.001, 0.05),
        delay=(0.2, 1.5),  # long enough to meet the next one of its key
        keyed=True,
    ),
    Kind(name="snoozing", definition="snooze", share=0.02, arguments=_times),
    Kind(
        name="at most once",
        definition="once",
        share=0.02,
        ends=("completed", "failed"),
        arguments=_seconds(0.02, 0.15),
        costs=0.1,
    ),
    Kind(name="long", definition="travel", share=0.01, largest=3, arguments=_seconds(0.5, 2.0), costs=1.25),
    Kind(
        name="cancelled",
        definition="listen",
        share=0.01,
        largest=3,
        ends=("cancelled", "completed"),
        costs=2.0,
        owned=True,
    ),
    # Each takes a slot down three times, for a second or so.
    Kind(name="poison", definition="poison", share=0.002, largest=1, ends=("failed",), costs=3.0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Tasks of one kind that are enqueued together, `at` seconds after the beginning."""

    at: float
    kind: Kind
    arguments: tuple[Arguments, ...]
    queue: str
    priority: int
    owner: int | None = None
    """The number of a person."""
    delay: float | None = None
    key: str | None = None
    cancel_after: float | None = None
    """Seconds from the enqueue to the request to cancel."""
    fate: Fate = "kept"


def make_plan(*, seed: int, seconds: float, tasks: int, slots: int) -> list[Order]:
    """So many tasks that are kept, and besides some that are rolled back; in the order of time."""
    rng = Random(f"plan {seed}")
    counts = _counts(tasks, slots * seconds)
    orders = [
        order
        for kind in KINDS
        for size in _sizes(rng, counts[kind.name], kind.largest)
        for order in _with_fate(rng, _order(rng, kind, size, counts[kind.name], seconds))
    ]
    return sorted(orders, key=lambda order: order.at)


def _counts(tasks: int, slot_seconds: float) -> dict[str, int]:
    counts = {kind.name: max(1, round(kind.share * tasks)) for kind in KINDS[1:]}
    for kind in KINDS[1:]:
        if kind.costs:
            counts[kind.name] = min(counts[kind.name], max(1, round(BUSY * slot_seconds / kind.costs)))
    return {**counts, KINDS[0].name: max(1, tasks - sum(counts.values()))}


def _sizes(rng: Random, total: int, largest: int) -> Iterator[int]:
    while total:
        size = 1 if rng.random() < ONES else rng.randint(1, min(largest, total))
        yield size
        total -= size


def _order(rng: Random, kind: Kind, size: int, of: int, seconds: float) -> Order:
    delay = rng.uniform(*kind.delay) if kind.delay else None
    cancel_after = None
    if "cancelled" in kind.ends:
        # A third of them before they may begin, the others at any time.
        early = rng.random() < 1 / 3
        delay, cancel_after = (rng.uniform(3, 5), 0.2) if early else (None, rng.uniform(0, 4))
    return Order(
        at=rng.uniform(0, ENQUEUED_WITHIN * seconds),
        kind=kind,
        arguments=tuple(kind.arguments(rng) for _ in range(size)),
        queue=rng.choice(QUEUES),
        priority=rng.randint(-5, 10),
        owner=rng.randrange(OWNERS) if kind.owned else None,
        delay=delay,
        key=f"key {rng.randrange(max(3, of // 50))}" if kind.keyed else None,
        cancel_after=cancel_after,
    )


def _with_fate(rng: Random, order: Order) -> Iterator[Order]:
    """The order, and sometimes another like it that must leave nothing."""
    drawn = rng.random()
    # The second task of a key would be the first one, which is kept.
    yield replace(order, fate="half") if drawn < HALF and not order.key else order
    if drawn > 1 - ROLLED_BACK:
        yield replace(order, fate="rolled back", cancel_after=None)
