"""`manage.py pause_queue`: keep workers from claiming the tasks of a queue."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from taskcenter.management.preflight import require_database, require_queues
from taskcenter.models import Queue
from taskcenter.queues import TaskQueue


class Command(BaseCommand):
    help = "Pause a queue: workers claim none of its tasks. What runs goes on, and new tasks wait."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="The queue.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why; shown wherever the queue is.")

    def handle(self, **options: Any) -> None:
        [name] = require_queues([options["name"]])
        require_database()
        if TaskQueue(name).pause(options["reason"]):
            self.stdout.write(f"Queue {name} is paused. To let it go on: manage.py resume_queue {name}")
            return
        queue = Queue.objects.get(name=name)
        since = f"{timezone.localtime(queue.paused_at):%Y-%m-%d %H:%M}" if queue.paused_at else "a moment ago"
        why = f": {queue.paused_reason}" if queue.paused_reason else ""
        self.stdout.write(f"Queue {name} was paused before, since {since}{why}")
