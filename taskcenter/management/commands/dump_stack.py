"""`manage.py dump_stack`: where does a running task hang?"""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from taskcenter import lifecycle
from taskcenter.management.preflight import require_database
from taskcenter.models import Task, TaskEvent

LOOK = 0.2
"""Seconds between two looks for the answer."""


class Command(BaseCommand):
    help = "Print the stack of a running task, asked of its worker on whatever host. The task runs on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("task", help="The task's id.")
        parser.add_argument("--wait", type=float, default=15, metavar="S", help="Seconds to wait for the answer; 15.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why; kept in the task's history.")

    def handle(self, **options: Any) -> None:
        try:
            task_id = uuid.UUID(options["task"])
        except ValueError:
            raise CommandError(f"{options['task']!r} is not a task id: it looks like {uuid.UUID(int=0)}.") from None
        if not options["wait"] > 0:
            raise CommandError("--wait must be greater than 0.")
        require_database()
        outcome = lifecycle.ask_for_stack(task_id, reason=options["reason"])
        asked = TaskEvent.objects.about_stacks().filter(task_id=task_id, kind="stack_asked").order_by("-seq").first()
        task = Task.objects.filter(id=task_id).first()
        if asked is None or task is None or not (outcome.moved or TaskEvent.objects.asks_for_stack(task)):
            raise CommandError(outcome.text)
        answer = _answer(task, asked.seq, options["wait"])
        stack = answer.data.get("stack")
        if not stack:
            raise CommandError(answer.text)
        self.stdout.write(f"{task.label}, attempt {answer.attempt}, {answer.at:%Y-%m-%d %H:%M:%S %Z}: {answer.text}\n")
        self.stdout.write(stack)


def _answer(task: Task, asked: int, seconds: float) -> TaskEvent:
    """The worker's answer; raises CommandError when there will be none, or none came in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answer = TaskEvent.objects.about_stacks().filter(task_id=task.id, kind="stack", seq__gt=asked).first()
        if answer is not None:
            return answer
        if not Task.objects.of_attempt(task.id, task.attempt).exists():
            raise CommandError("The attempt ended before its worker could answer.")
        time.sleep(LOOK)
    raise CommandError(
        f"No answer within {seconds:g} seconds. Its worker does not reach the database, is of an older version, or is "
        "RQ's own, which dumps no stacks. When the answer comes it is in the task's history."
    )
