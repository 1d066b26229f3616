"""`manage.py rqworker`: claims tasks and runs them."""

from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from django_rq.connection_utils import filter_connection_params, get_redis_connection
from rq import Queue
from rq.logutils import setup_loghandlers
from rq.serializers import JSONSerializer

from taskcenter.conf import get_settings, redis_queues
from taskcenter.management.preflight import require_database, require_queues, require_redis
from taskcenter.wire import UNREACHABLE
from taskcenter.worker.family import MB, Limits
from taskcenter.worker.memory import memory_used
from taskcenter.worker.parent import TaskCenterWorker


class Command(BaseCommand):
    help = "Run tasks of the queues named; of all queues when none is named. Stop it with SIGTERM or Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="*", help="Queues to work on; default: all of RQ_QUEUES.")
        parser.add_argument("--concurrency", type=int, help="Slots: tasks run at once (TASKCENTER['CONCURRENCY']).")
        parser.add_argument("--grace", type=float, help="Seconds a running task may take to end (TASKCENTER['GRACE']).")
        parser.add_argument("--max-tasks-per-slot", type=int, metavar="N", help="Replace a slot after N tasks.")
        parser.add_argument(
            "--max-memory",
            type=int,
            metavar="MB",
            help="Replace a slot above so many MB after its task; kill one that takes twice that while a task runs.",
        )
        parser.add_argument("--burst", action="store_true", help="End when nothing is left to do.")
        parser.add_argument("--name", help="The worker's name in RQ; default: a random one.")

    def handle(self, **options: Any) -> None:
        queues = require_queues(options["queues"])
        _require_sense(options)
        _require_one_redis(queues)
        require_database()
        require_redis(queues[0])
        level = {0: "WARNING", 1: "INFO"}.get(options["verbosity"], "DEBUG")
        setup_loghandlers(level)
        worker = _worker(queues, options)
        connections.close_all()
        worker.work(burst=options["burst"], logging_level=level)


def _worker(queues: list[str], options: dict[str, Any]) -> TaskCenterWorker:
    connection = get_redis_connection(redis_queues()[queues[0]])
    try:
        worker = TaskCenterWorker(
            [Queue(name, connection=connection, serializer=JSONSerializer) for name in queues],
            connection=connection,
            name=options["name"],
            serializer=JSONSerializer,
            concurrency=options["concurrency"] or 0,
            limits=_limits(options),
        )
        if not worker.presence.name_is_free():
            raise CommandError(f"A worker named {worker.name!r} is alive. Stop it, or choose another --name.")
    except UNREACHABLE as error:
        raise CommandError(f"Redis went away: {error}. Start it, and then the worker again.") from error
    return worker


def _limits(options: dict[str, Any]) -> Limits:
    grace, megabytes = options["grace"], options["max_memory"]
    return Limits(
        grace=get_settings().GRACE if grace is None else grace,
        max_tasks=options["max_tasks_per_slot"],
        max_memory=megabytes * MB if megabytes else None,
    )


def _require_sense(options: dict[str, Any]) -> None:
    """Raises CommandError on a number that cannot be meant."""
    for name in ("concurrency", "max_tasks_per_slot", "max_memory"):
        if options[name] is not None and options[name] < 1:
            raise CommandError(f"--{name.replace('_', '-')} must be at least 1.")
    if options["grace"] is not None and not options["grace"] >= 0:  # also not a number
        raise CommandError("--grace cannot be negative.")
    base = (memory_used(os.getpid()) or 0) // MB
    if options["max_memory"] is not None and options["max_memory"] <= base:
        raise CommandError(f"--max-memory leaves no room for tasks: the code alone takes {base} MB.")


def _require_one_redis(queues: list[str]) -> None:
    """Raises CommandError when one worker would have to listen to two servers."""
    known = redis_queues()
    first = filter_connection_params(known[queues[0]])
    for name in queues:
        if filter_connection_params(known[name]) != first:
            both = f"{queues[0]!r} and {name!r}"
            raise CommandError(f"Queues {both} are in different Redis servers: start a worker for each.")
