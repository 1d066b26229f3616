"""`manage.py check_tasks`: before a deploy, the tasks that wait against the code that is to run them.

Its exit code is for CI: 0 all fit, 1 problems, 2 it could not look. It only reads, and asks for the table
of tasks alone: migrations of the code at hand need not be applied yet.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from taskcenter.conf import redis_queues
from taskcenter.explain.words import counted
from taskcenter.management.findings import Review
from taskcenter.management.waiting import review
from taskcenter.models import Task

SAMPLE = 10_000
FOUND, CANNOT = 1, 2


class Command(BaseCommand):
    help = (
        "Compare waiting tasks with this code: definitions that are gone, arguments that fit no more, unknown queues."
    )
    requires_system_checks = ()  # a mistake in settings must not hide what was asked for

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--queue", help="Only tasks of this queue.")
        parser.add_argument(
            "--sample", type=int, default=SAMPLE, metavar="N", help=f"Arguments looked at per definition ({SAMPLE:,})."
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, **options: Any) -> None:
        if options["sample"] < 1:
            raise CommandError("--sample must be at least 1.", returncode=CANNOT)
        try:
            _require_queue(options["queue"])
            found = review(queue=options["queue"] or "", sample=options["sample"])
        except DatabaseError as error:
            said = str(error).strip()
            text = f"The waiting tasks cannot be read: {said}. Is the database there, and was manage.py migrate run?"
            raise CommandError(text, returncode=CANNOT) from error
        self.stdout.write(json.dumps(found.as_dict(), indent=2) if options["format"] == "json" else _told(found))
        if found.problems:
            number = len(found.problems)
            raise CommandError(f"{number} problem{'s' if number > 1 else ''} found.", returncode=FOUND)


def _require_queue(name: str | None) -> None:
    """A queue that neither the settings nor any waiting task knows is a typing error."""
    if name is None or name in redis_queues() or Task.objects.waiting().filter(queue=name).exists():
        return
    known = ", ".join(sorted(redis_queues()))
    raise CommandError(
        f"There is no queue {name!r}, and no task waits on it. RQ_QUEUES names: {known}.", returncode=CANNOT
    )


def _told(found: Review) -> str:
    of = f"{counted(found.waiting, 'waiting task')} of {counted(found.definitions, 'definition')}"
    lines = [f"{of}; the arguments of {found.arguments_looked_at:,} were looked at."]
    for number, problem in enumerate(found.problems, 1):
        lines += [f"{number}. {problem.text}", f"   Do: {problem.fix}"]
    return "\n".join(lines if found.problems else [*lines, "All of them fit this code."])
