"""`manage.py rqscheduler`: does what is due. Any number may run."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django_rq.queues import get_connection
from rq.job import Job
from rq.serializers import JSONSerializer

from taskcenter.management.preflight import require_database, require_queues
from taskcenter.scheduler import TaskScheduler


class JSONJob(Job):
    """rq-scheduler passes no serializer on; a job class with JSON built in keeps pickle out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "serializer": JSONSerializer})


class Command(BaseCommand):
    help = "Do the built-in duties (dispatch, recovery, clean-up) and rq-scheduler's own jobs when they are due."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("-i", "--interval", type=int, default=5, help="Longest pause between two looks, seconds.")
        parser.add_argument("--queue", default="", help="Queue whose Redis is used; default: the first of RQ_QUEUES.")
        parser.add_argument("--once", action="store_true", help="Do what is due now, and end.")

    def handle(self, **options: Any) -> None:
        queue = require_queues([options["queue"]] if options["queue"] else [])[0]
        if options["interval"] < 1:
            raise CommandError("--interval must be at least 1 second.")
        require_database()
        scheduler = TaskScheduler(
            queue, interval=options["interval"], connection=get_connection(queue), job_class=JSONJob
        )
        if options["once"]:
            done = scheduler.tick()
            self.stdout.write(f"Done: {', '.join(done)}." if done else "Nothing was due.")
            return
        self.stdout.write(f"Scheduler started; looks every {options['interval']} s.")
        scheduler.run()
