"""A definition on trial: whether the arguments on its waiting rows still fit its function.

Read in bounded memory, and only so many as the caller wants: the oldest and the newest, since old code
wrote the one and newer code the other.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from taskcenter.definitions import TaskDefinition
from taskcenter.models import TaskQuerySet

from .findings import Heap, Problem

__all__ = ["Trial"]

CHUNK = 200
"""Rows in memory at once: each may hold arguments of ARGS_LIMIT."""
SHAPES = 1000
"""Shapes of arguments remembered per definition; further ones are bound each time."""
COMPLAINTS = 20
"""Different complaints told per definition."""
EXAMPLES = 3


@dataclass(slots=True)
class Complaint:
    count: int = 0
    examples: list[UUID] = field(default_factory=list)


class Trial:
    """Whether the arguments on rows of one definition still fit its function."""

    def __init__(self, definition: TaskDefinition, heap: Heap, rows: TaskQuerySet) -> None:
        self.definition = definition
        self.heap = heap
        self.looked_at = 0
        self._rows = rows
        self._verdicts: dict[tuple[Any, ...], str] = {}
        self._complaints: defaultdict[str, Complaint] = defaultdict(Complaint)

    def problems(self, sample: int) -> Iterator[Problem]:
        try:
            signature = inspect.signature(self.definition.func)
        except (TypeError, ValueError):
            return  # a function that does not tell its parameters takes what it takes
        for task_id, args, kwargs in self._arguments(sample):
            self.looked_at += 1
            verdict = self._verdict(signature, args, kwargs)
            if verdict:
                self._complain(verdict, task_id)
        yield from (self._problem(signature, *item) for item in self._complaints.items())

    def _arguments(self, sample: int) -> Iterator[tuple[UUID, Any, Any]]:
        """Of each state its share, from both ends; each walks the index (definition, state, id)."""
        for state, count in sorted(self.heap.states.items()):
            share = max(2, sample * count // self.heap.count)
            rows = self._rows.filter(state=state).values_list("id", "args", "kwargs")
            if count <= share:
                yield from rows.order_by("id").iterator(chunk_size=CHUNK)
                continue
            yield from rows.order_by("id")[: share // 2].iterator(chunk_size=CHUNK)
            yield from rows.order_by("-id")[: share - share // 2].iterator(chunk_size=CHUNK)

    def _verdict(self, signature: inspect.Signature, args: Any, kwargs: Any) -> str:
        """What Python would say of the call; empty when it fits. Only number and names matter, not values."""
        if not isinstance(args, list) or not isinstance(kwargs, dict):
            return "its args are no list, or its kwargs no object"
        shape = (len(args), *sorted(kwargs))
        known = self._verdicts.get(shape)
        if known is not None:
            return known
        context = (None,) if self.definition.takes_context else ()
        verdict = ""
        try:
            signature.bind(*context, *args, **kwargs)
        except TypeError as error:
            verdict = str(error)
        if len(self._verdicts) < SHAPES:
            self._verdicts[shape] = verdict
        return verdict

    def _complain(self, verdict: str, task_id: UUID) -> None:
        known = verdict in self._complaints or len(self._complaints) < COMPLAINTS
        complaint = self._complaints[verdict if known else "other arguments that do not fit"]
        complaint.count += 1
        if len(complaint.examples) < EXAMPLES:
            complaint.examples.append(task_id)

    def _problem(self, signature: inspect.Signature, verdict: str, complaint: Complaint) -> Problem:
        name, context = self.definition.module_path, ", the context first" if self.definition.takes_context else ""
        of = f"{self.looked_at:,} looked at" + (
            f" ({self.heap.count:,} wait)" if self.looked_at < self.heap.count else ""
        )
        ids = ", ".join(map(str, complaint.examples))
        text = f"{complaint.count:,} of {of} do not fit {name}{signature}{context}: {verdict}. For example {ids}."
        fix = "Give new parameters a default and keep old ones until these tasks have run; or cancel the tasks."
        data = {
            "definition": name,
            "signature": str(signature),
            "takes_context": self.definition.takes_context,
            "error": verdict,
            "count": complaint.count,
            "looked_at": self.looked_at,
            "waiting": self.heap.count,
            "examples": [str(task_id) for task_id in complaint.examples],
        }
        return Problem("signature_changed", text, fix, data)
