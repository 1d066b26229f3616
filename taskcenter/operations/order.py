"""What an operator has confirmed, and the task that carries it out when it is too much for a request."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from django.db import router, transaction

from taskcenter.conf import redis_queues
from taskcenter.definitions import TaskDefinition, find
from taskcenter.enqueue import enqueue as enqueue_task
from taskcenter.models import Queue, Task, Worker

from .selection import Selection
from .verbs import VERBS, Verb

__all__ = ["BY_ITSELF", "DEFINITION", "Order", "enqueue", "new_once"]

BY_ITSELF = 200
"""More tasks than this are a task of its own."""
DEFINITION = "taskcenter.tasks.operate"
FIRST = 100
"""Its priority: whoever cancels a million waiting tasks does not want to wait behind them."""


def new_once() -> str:
    """A name for one confirmation, however often its form is sent."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Order:
    verb: Verb
    selection: Selection
    reason: str
    once: str

    def as_json(self) -> dict[str, Any]:
        return {
            "verb": self.verb.name,
            "selection": self.selection.as_json(),
            "reason": self.reason,
            "once": self.once,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Raises ValueError or KeyError for what is none."""
        return cls(VERBS[told["verb"]], Selection.from_json(told["selection"]), told["reason"], told["once"])


def enqueue(order: Order, operator: Any, *, expected: int) -> tuple[Task, bool]:
    """The task that carries it out; False when the same confirmation has made it before.

    First insert, then look: a rival that has inserted and ended before is found by the look, one that
    lives by the unique key. Raises PayloadTooLarge, UnknownDefinition.
    """
    definition = _definition(order, operator, expected)
    with transaction.atomic(using=router.db_for_write(Task)):
        task, is_new = enqueue_task(definition, (), {**order.as_json(), "expected": expected})
        if not is_new:
            return task, False
        first = _of(order).exclude(pk=task.pk).first()
        if first is None:
            return task, True
        transaction.set_rollback(True, using=router.db_for_write(Task))
    return first, False


def _of(order: Order) -> Any:
    return Task.objects.filter(definition=DEFINITION, metadata__once=order.once).order_by("id")


def _definition(order: Order, operator: Any, expected: int) -> TaskDefinition:
    return find(DEFINITION).using(
        owner=operator,
        title=f"{order.verb.label} {expected:,} tasks",
        queue_name=_moving_queue(),
        priority=FIRST,
        unique_key=order.once,
        metadata={"once": order.once},
    )


def _moving_queue() -> str:
    """The definition's own queue, unless that is paused or nobody serves it while another moves."""
    usual = find(DEFINITION).queue_name
    paused = set(Queue.objects.paused().values_list("name", flat=True))
    served = {name for queues in Worker.objects.alive().values_list("queues", flat=True) for name in queues}
    moving = [name for name in redis_queues() if name in served and name not in paused]
    return usual if usual in moving or not moving else moving[0]
