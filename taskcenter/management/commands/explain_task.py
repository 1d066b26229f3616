"""`manage.py explain_task`: why is a task not running, and what to do about it."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from taskcenter.explain import Explanation, explain, explain_key
from taskcenter.management.preflight import require_database
from taskcenter.models import Task
from taskcenter.pointers import PREFIX

LISTED = 5
"""Tasks that are listed when a prefix fits several."""
DIGITS = 32


class Command(BaseCommand):
    help = "Say why a task is not running, and what to do: the best reason first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("task", nargs="?", metavar="ID", help="The task's id, or enough of its first characters.")
        parser.add_argument("--definition", metavar="NAME", help="With --unique-key: the task function's dotted name.")
        parser.add_argument("--unique-key", metavar="KEY", help="Say which task holds this key, and so is in the way.")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, **options: Any) -> None:
        by_key = (options["definition"], options["unique_key"])
        if bool(options["task"]) == any(by_key) or any(by_key) != all(by_key):
            raise CommandError("Name a task by its id; or --definition and --unique-key, both of them.")
        require_database()
        found = explain_key(*by_key) if all(by_key) else explain(_task(options["task"]))
        self.stdout.write(json.dumps(found.as_dict(), indent=2) if options["format"] == "json" else _told(found))


def _told(found: Explanation) -> str:
    lines = [f"Task {found.task_id} ({found.label}) is {found.state or 'gone'}."] if found.task_id else []
    for number, reason in enumerate(found.reasons, 1):
        lines.append(f"{number}. {reason.text}")
        if reason.fix:
            lines.append(f"   Do: {reason.fix}")
    return "\n".join(lines)


def _task(given: str) -> Task:
    """The task of that id or prefix, which may be written as a pointer's name too. Raises CommandError."""
    digits = re.sub("[-{}]", "", given.strip().lower().removeprefix(PREFIX))
    if not re.fullmatch(f"[0-9a-f]{{1,{DIGITS}}}", digits):
        example = UUID(int=0)
        raise CommandError(f"{given!r} is not a task id or the start of one: a whole id looks like {example}.")
    first, last = (UUID(hex=digits.ljust(DIGITS, filler)) for filler in "0f")
    rows = Task.objects.only("id", "title", "definition", "state").filter(id__range=(first, last)).order_by("id")
    found = list(rows[: LISTED + 1])
    if not found:
        what = f"no task {first}" if len(digits) == DIGITS else f"no task whose id begins with {given!r}"
        raise CommandError(f"There is {what}; finished tasks are deleted after a while.")
    if len(found) > 1:
        more = "\n  and more" if len(found) > LISTED else ""
        names = "".join(f"\n  {task.pk}  {task.state}  {task.label}" for task in found[:LISTED])
        raise CommandError(f"{given!r} is the start of several ids; give more of it:{names}{more}")
    return found[0]
