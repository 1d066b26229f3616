"""`manage.py rqworker`: claims tasks and runs them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django_rq.workers import get_worker
from rq.logutils import setup_loghandlers
from rq.serializers import JSONSerializer

from taskcenter.management.preflight import require_database, require_queues, require_redis
from taskcenter.worker.parent import TaskCenterWorker


class Command(BaseCommand):
    help = "Run tasks of the queues named; of all queues when none is named. Stop it with SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="*", help="Queues to work on; default: all of RQ_QUEUES.")
        parser.add_argument("--concurrency", type=int, help="Slots: tasks run at once (TASKCENTER['CONCURRENCY']).")
        parser.add_argument("--grace", type=float, help="Seconds a running task may take to end (TASKCENTER['GRACE']).")
        parser.add_argument("--burst", action="store_true", help="End when nothing is left to do.")
        parser.add_argument("--name", help="The worker's name in RQ; default: a random one.")

    def handle(self, **options: Any) -> None:
        queues = require_queues(options["queues"])
        if options["concurrency"] is not None and options["concurrency"] < 1:
            raise CommandError("--concurrency must be at least 1.")
        if options["grace"] is not None and options["grace"] < 0:
            raise CommandError("--grace cannot be negative.")
        require_database()
        require_redis(queues[0])
        level = {0: "WARNING", 1: "INFO"}.get(options["verbosity"], "DEBUG")
        setup_loghandlers(level)
        worker = self._worker(queues, options)
        connections.close_all()
        worker.work(burst=options["burst"], logging_level=level)

    def _worker(self, queues: list[str], options: dict[str, Any]) -> TaskCenterWorker:
        try:
            worker: TaskCenterWorker = get_worker(
                *queues,
                worker_class=TaskCenterWorker,
                name=options["name"],
                serializer=JSONSerializer,
                concurrency=options["concurrency"],
                grace=options["grace"],
            )
        except ValueError as error:  # queues on different Redis servers
            raise CommandError(str(error)) from error
        return worker
