"""A person asks where a running task hangs; its worker answers. Neither touches the task's row."""

from __future__ import annotations

import uuid
from typing import Any

from taskcenter.models import Task, TaskEvent, Worker
from taskcenter.states import State

from .moves import Outcome
from .people import GONE

__all__ = ["answer_stack", "ask_for_stack"]

Kind = TaskEvent.Kind

DUMPED = "Where it was at that moment, innermost call first."


def ask_for_stack(task_id: uuid.UUID, *, actor: Any = None, reason: str = "") -> Outcome:
    """Ask the worker of a running task for the stack of its slot. Asking twice asks once."""
    task = Task.objects.filter(id=task_id).first()
    if task is None:
        return GONE
    if task.state != State.PROCESSING:
        return _refused(task, f"No stack to dump: the task is {task.state}, nobody runs it.")
    worker = Worker.objects.filter(id=task.worker_id).first() if task.worker_id else None
    if worker is None or not worker.is_alive:
        return _refused(task, "No stack to dump: its worker is dead. Recover the task instead.")
    if TaskEvent.objects.asks_for_stack(task):
        return _refused(task, "Its worker was asked before, and answers within seconds.")
    TaskEvent.objects.tell(task.id, Kind.STACK_ASKED, reason, attempt=task.attempt, actor=actor)
    return Outcome(moved=True, state=State.PROCESSING, text=f"Asked worker {worker}; the stack is here within seconds.")


def answer_stack(task_id: uuid.UUID, attempt: int, *, trouble: str, stack: str) -> bool:
    """Keep what the worker found out; False when the attempt is over, and the answer of no use."""
    task = Task.objects.of_attempt(task_id, attempt).first()
    if task is None:
        return False
    data = {"stack": stack} if stack else {}
    TaskEvent.objects.tell(task_id, Kind.STACK, trouble or DUMPED, attempt=attempt, data=data, worker_id=task.worker_id)
    return True


def _refused(task: Task, text: str) -> Outcome:
    return Outcome(moved=False, state=State(task.state), text=text)
