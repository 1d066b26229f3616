"""`manage.py recover_tasks`: find tasks that no one is running, and put them right; make Redis agree again."""

from __future__ import annotations

import argparse
import json
import math
import uuid
from collections import Counter
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from taskcenter import lifecycle
from taskcenter.management.preflight import require_database, require_queues, require_redis
from taskcenter.models import Task
from taskcenter.models.worker import stale_before
from taskcenter.pointers import ENOUGH
from taskcenter.recovery import Reconciled, TaskRecovery
from taskcenter.wire import UNREACHABLE

SHOWN = 1000
"""Tasks that are named; the others are counted."""


class Command(BaseCommand):
    help = (
        "Find tasks whose worker is dead and run them again, or fail them when their crashes are used up. "
        "With --reconcile: put back what Redis has forgotten."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why; kept in each history.")
        parser.add_argument("--task", help="Only this task, by its id.")
        parser.add_argument("--queue", help="Only tasks of this queue.")
        parser.add_argument(
            "--older-than", type=_seconds, metavar="S", help="Only attempts begun S seconds ago or more."
        )
        parser.add_argument(
            "--reconcile",
            action="store_true",
            help="After Redis lost its data: give waiting tasks their pointers again, delete those of tasks that are "
            "over, and print what was different.",
        )
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, **options: Any) -> None:
        queues = require_queues([options["queue"]] if options["queue"] else [])
        if options["reconcile"] and (options["task"] or options["older_than"] is not None):
            raise CommandError("--reconcile looks at whole queues: leave out --task and --older-than.")
        require_database()
        try:
            if options["reconcile"]:
                self._reconcile(queues, options)
            else:
                self._recover(options)
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {str(error).strip()}") from error

    # Lost tasks.

    def _recover(self, options: dict[str, Any]) -> None:
        if options["task"]:
            found = self._one(options)
        else:
            found = self._foresee(options) if options["dry_run"] else self._lost(options)
        self._print(found, options)
        if found["errors"]:
            raise CommandError(f"{found['errors']:,} tasks could not be recovered; the log says why.")

    def _one(self, options: dict[str, Any]) -> dict[str, Any]:
        try:
            task_id = uuid.UUID(options["task"])
        except ValueError:
            raise CommandError(f"{options['task']!r} is not a task id: it looks like {uuid.UUID(int=0)}.") from None
        if not Task.objects.filter(id=task_id).exists():
            raise CommandError(f"There is no task {task_id}.")
        lost = Task.objects.lost(stale_before()).filter(id=task_id, attempted_at__lte=_begun_before(options))
        is_chosen = (lost.filter(queue=options["queue"]) if options["queue"] else lost).exists()
        if options["dry_run"]:
            text = "Would be recovered." if is_chosen else "Nothing to recover."
            return _found([_line(task_id, moved=is_chosen, text=text)])
        if not is_chosen and (options["queue"] or options["older_than"]):
            text = "Nothing to recover: not lost, or not among those asked for."
            return _found([_line(task_id, moved=False, text=text)])
        outcome = TaskRecovery().recover_task(task_id, reason=options["reason"])
        return _found([_line(task_id, moved=outcome.moved, text=outcome.text)])

    def _foresee(self, options: dict[str, Any]) -> dict[str, Any]:
        foreseen = TaskRecovery().foresee(queue=options["queue"] or "", begun_before=_begun_before(options))
        lines: list[dict[str, Any]] = []
        states: Counter[str] = Counter()
        for task, row in foreseen:
            states[str(lifecycle.NEXT[row.verdict])] += 1
            if len(lines) < SHOWN:
                text = f"Would be recovered: {task.label}, attempt {task.attempt}: {row.verdict.label.lower()}."
                lines.append(_line(task.id, moved=True, text=text))
        return _found(lines, states)

    def _lost(self, options: dict[str, Any]) -> dict[str, Any]:
        recovery = TaskRecovery(reason=options["reason"])
        if options["queue"] or options["older_than"]:
            swept = recovery.recover_lost(queue=options["queue"] or "", begun_before=_begun_before(options))
        else:
            swept = recovery.recover_stuck_tasks()
            recovery.delete_orphans()
        lines = [_line(task_id, moved=True, text=outcome.text) for task_id, outcome in islice(swept.recovered, SHOWN)]
        return _found(lines, Counter({str(state): count for state, count in swept.by_state.items()}), swept.errors)

    def _print(self, found: dict[str, Any], options: dict[str, Any]) -> None:
        if options["format"] == "json":
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **found}, indent=2))
            return
        for line in found["tasks"]:
            self.stdout.write(f"{line['task']}  {line['text']}")
        if found["count"] > len(found["tasks"]):
            self.stdout.write(f"… and {found['count'] - len(found['tasks']):,} more.")
        if found["count"]:
            states = ", ".join(f"{count:,} {state}" for state, count in sorted(found["states"].items()))
            self.stdout.write(f"{'Would recover' if options['dry_run'] else 'Recovered'} {found['count']:,}: {states}.")
        if not (found["tasks"] or found["errors"]):
            self.stdout.write("No task is lost: every running task has a living worker.")

    # Redis beside the database.

    def _reconcile(self, queues: list[str], options: dict[str, Any]) -> None:
        for queue in queues:
            require_redis(queue)
        try:
            done = TaskRecovery().reconcile(queues, dry_run=options["dry_run"])
        except UNREACHABLE as error:
            raise CommandError(f"Redis does not answer: {error}. What was put back stays; run it again.") from error
        if options["format"] == "json":
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], **asdict(done)}, indent=2))
        else:
            self._print_difference(done, dry_run=options["dry_run"])

    def _print_difference(self, done: Reconciled, *, dry_run: bool) -> None:
        columns = ("queue", "waiting", "pointers", "orphans", "missing")
        rows = [
            (one.queue, f"{one.waiting:,}{'+' * one.more}", f"{one.pointers:,}", f"{one.orphans:,}", f"{one.pushed:,}")
            for one in done.queues
        ]
        widths = [max(len(row[number]) for row in (columns, *rows)) for number in range(len(columns))]
        for name, *cells in (columns, *rows):
            right = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
            self.stdout.write("  ".join([name.ljust(widths[0]), *right]))
        if done.promoted:
            self.stdout.write(f"{done.promoted:,} scheduled tasks were due and wait now.")
        self.stdout.write(_sentence(done, dry_run=dry_run))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < timedelta.max.total_seconds():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _begun_before(options: dict[str, Any]) -> Any:
    """What an attempt must have begun before; OverflowError is nobody's wish."""
    try:
        return timezone.now() - timedelta(seconds=options["older_than"] or 0)
    except OverflowError:
        raise CommandError("--older-than goes back to before there was a calendar.") from None


def _found(lines: list[dict[str, Any]], states: Counter[str] | None = None, errors: int = 0) -> dict[str, Any]:
    counted = states or Counter()
    return {"tasks": lines, "count": counted.total(), "states": dict(counted), "errors": errors}


def _line(task_id: uuid.UUID, *, moved: bool, text: str) -> dict[str, Any]:
    return {"task": str(task_id), "recovered": moved, "text": text}


def _sentence(done: Reconciled, *, dry_run: bool) -> str:
    if not done.did_anything:
        return "Nothing was different."
    orphans, missing = sum(one.orphans for one in done.queues), sum(one.pushed for one in done.queues)
    deleted, pushed = ("to delete", "to push") if dry_run else ("deleted", "pushed")
    text = f"{orphans:,} orphans {deleted}, {missing:,} pointers {pushed}."
    if any(one.more for one in done.queues):
        text += f" A queue is given {ENOUGH:,} at most: workers claim until nothing is left."
    return text
