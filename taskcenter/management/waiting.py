"""Waiting rows against the code at hand: what a deploy of this code would leave lying, or break."""

from __future__ import annotations

from collections.abc import Iterator

from taskcenter.conf import get_settings, redis_queues
from taskcenter.definitions import find, known_names
from taskcenter.explain.words import span
from taskcenter.models import Duty, Task, TaskQuerySet
from taskcenter.scheduler import DUTIES

from .findings import Heap, Problem, Review
from .trial import Trial

__all__ = ["review"]


def review(*, queue: str = "", sample: int) -> Review:
    """All waiting rows, or those of one queue; of each definition the arguments of `sample` rows."""
    rows = Task.objects.waiting().filter(**({"queue": queue} if queue else {}))
    definitions, queues = _heaps(rows)
    found = Review(sum(heap.count for heap in definitions.values()), len(definitions))
    for name, heap in definitions.items():
        if name not in known_names():
            found.problems.append(_missing(name, heap))
            continue
        trial = Trial(find(name), heap, rows.filter(definition=name))
        found.problems.extend(trial.problems(sample))
        found.arguments_looked_at += trial.looked_at
    found.problems.extend(_unknown_queue(name, heap) for name, heap in queues.items() if name not in redis_queues())
    if not queue:
        found.problems.extend(_unknown_duties())
    return found


def _heaps(rows: TaskQuerySet) -> tuple[dict[str, Heap], dict[str, Heap]]:
    """The waiting tasks by definition, and by queue; in one statement."""
    definitions: dict[str, Heap] = {}
    queues: dict[str, Heap] = {}
    for definition, queue, state, count, oldest in rows.counted():
        definitions.setdefault(definition, Heap(oldest)).add(queue, state, count, oldest)
        queues.setdefault(queue, Heap(oldest)).add(definition, state, count, oldest)
    return definitions, queues


def _missing(name: str, heap: Heap) -> Problem:
    last = name.rpartition(".")[2]
    moved = [known for known in known_names() if known.rpartition(".")[2] == last]
    hint = f" It does define {', '.join(moved)}." if moved else ""
    text = f"{heap.so_many()} {name}, which this code does not define: {heap.where()}.{hint}"
    limit = span(get_settings().UNKNOWN_FAILS_AFTER.total_seconds())
    fix = (
        "Keep a task function of that name, which may call the new one, until they have run; or cancel them. "
        f"Otherwise they fail when no worker has known it for {limit}."
    )
    return Problem("missing_definition", text, fix, {"definition": name, "moved_to": moved, **heap.as_data("queues")})


def _unknown_queue(name: str, heap: Heap) -> Problem:
    known = ", ".join(sorted(redis_queues())) or "none"
    text = f"{heap.so_many()} queue {name}, which RQ_QUEUES does not name (it names: {known}): {heap.where()}."
    fix = f"Add {name!r} to RQ_QUEUES and keep a worker on it until they have run; or cancel them."
    return Problem("unknown_queue", text, fix, {"queue": name, **heap.as_data("definitions")})


def _unknown_duties() -> Iterator[Problem]:
    for name in Duty.objects.exclude(name__in=list(DUTIES)).order_by("name").values_list("name", flat=True):
        text = f"The scheduler's duty {name!r} has a row, but this code does not define it: nobody would do it."
        yield Problem(
            "unknown_duty", text, "Deploy code that has it; or delete its row if it is gone for good.", {"duty": name}
        )
