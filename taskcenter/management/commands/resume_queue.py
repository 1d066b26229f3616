"""`manage.py resume_queue`: let workers claim the tasks of a paused queue again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from taskcenter.management.preflight import require_database, require_queues
from taskcenter.queues import TaskQueue


class Command(BaseCommand):
    help = "Resume a paused queue: workers claim its tasks again, and are woken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The queue.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why; kept in the log.")

    def handle(self, **options: Any) -> None:
        [name] = require_queues([options["name"]])
        require_database()
        said = "is open again." if TaskQueue(name).resume(options["reason"]) else "was not paused."
        self.stdout.write(f"Queue {name} {said}")
