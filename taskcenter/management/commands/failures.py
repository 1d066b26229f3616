"""`manage.py failures`: what failed alike, how often, and run it again."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from taskcenter import redrive
from taskcenter.exceptions import InvalidPayload
from taskcenter.management.preflight import require_database
from taskcenter.models import FailureGroup
from taskcenter.models.failure import count_open

SHOWN = 20
"""Failed tasks that `show` lists."""


class Command(BaseCommand):
    help = "Failures grouped by what they share: list them, show one group, run its failed tasks again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.set_defaults(verb="list", limit=50, format="text")
        verbs = parser.add_subparsers(dest="verb", metavar="{list,show,redrive}")
        listing = verbs.add_parser("list", help="The groups, last seen first; what is done without a word.")
        showing = verbs.add_parser("show", help="One group, and its failed tasks.")
        driving = verbs.add_parser("redrive", help="Retry one task, then a tenth, then all; stop at the same error.")
        for one in (parser, listing):
            one.add_argument("--limit", type=int, metavar="N", default=argparse.SUPPRESS, help="So many groups; 50.")
        for one in (showing, driving):
            one.add_argument("fingerprint", help="The group's fingerprint, or as much of its start as is unique.")
        driving.add_argument("--reason", default="", metavar="TEXT", help="Why; kept in each task's history.")
        driving.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        for one in (parser, listing, showing, driving):
            one.add_argument("--format", choices=("text", "json"), default=argparse.SUPPRESS)

    def handle(self, **options: Any) -> None:
        require_database()
        verb = {"show": self._show, "redrive": self._redrive}.get(options["verb"], self._list)
        told, lines = verb(options)
        if options["format"] == "json":
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self.stdout.write("\n".join(lines))

    def _list(self, options: dict[str, Any]) -> tuple[Any, Iterable[str]]:
        if options["limit"] < 1:
            raise CommandError("--limit must be at least 1.")
        groups = count_open(FailureGroup.objects.latest_first()[: options["limit"]])
        lines = [_line(group) for group in groups] or ["No task has failed yet."]
        return {"groups": [_told(group) for group in groups]}, lines

    def _show(self, options: dict[str, Any]) -> tuple[Any, Iterable[str]]:
        [group] = count_open([_found(options["fingerprint"])])
        ids = redrive.redrivable(group.fingerprint).values_list("id", flat=True)[:SHOWN]
        tasks = [str(task_id) for task_id in ids]
        told = {**_told(group), "tasks": tasks}
        facts = [f"{name.replace('_', ' ')}: {value}" for name, value in _told(group).items()]
        more = group.open_tasks - len(tasks)
        return told, [
            *facts,
            "failed now:",
            *(f"  {one}" for one in tasks),
            *([f"  and {more} more"] if more > 0 else []),
        ]

    def _redrive(self, options: dict[str, Any]) -> tuple[Any, Iterable[str]]:
        group = _found(options["fingerprint"])
        if options["dry_run"]:
            return _planned(group)
        if not options["reason"].strip():
            raise CommandError('Say why, for the history of each task: --reason "…". To look first: --dry-run.')
        try:
            started = redrive.start(group, reason=options["reason"].strip())
        except InvalidPayload as error:  # a terminal may send what is not Unicode
            raise CommandError(str(error)) from error
        told = {"task": str(started.task_id) if started.task_id else None, "new": started.is_new, "text": started.text}
        return told, [f"{started.text} Task {started.task_id}." if started.task_id else started.text]


def _found(prefix: str) -> FailureGroup:
    """The one group whose fingerprint begins so; raises CommandError when there is none or more than one."""
    if not prefix.strip():
        raise CommandError("Give the start of a fingerprint; `manage.py failures` lists them.")
    groups = list(FailureGroup.objects.starting(prefix.strip()).latest_first()[:2])
    if not groups:
        raise CommandError(
            f"No failure has a fingerprint that begins with {prefix!r}. `manage.py failures` lists them."
        )
    if len(groups) > 1:
        raise CommandError(f"More than one fingerprint begins with {prefix!r}: give more of it.")
    return groups[0]


def _planned(group: FailureGroup) -> tuple[Any, Iterable[str]]:
    total = redrive.redrivable(group.fingerprint).count()
    sizes = list(redrive.waves(total))
    told = {"dry_run": True, "fingerprint": group.fingerprint, "tasks": total, "waves": sizes}
    if not total:
        return told, ["None of its tasks is failed now: there is nothing to redrive."]
    words = ", then ".join(map(str, sizes[:3])) + (f", and so on in {len(sizes)} waves" if len(sizes) > 3 else "")  # noqa: PLR2004 as many as fit
    return told, [f"Would retry {total} tasks of {group}: {words}; and stop when the same error returns."]


def _line(group: FailureGroup) -> str:
    seen = f"{_when(group.first_seen)} to {_when(group.last_seen)}"
    counts = f"{group.count} x, {group.open_tasks} failed now"
    name, text = group.definition.rpartition(".")[2], " ".join(str(group).split())[:100]
    return f"{group.short}  {counts}  {seen}  {name}  {text}"


def _told(group: FailureGroup) -> dict[str, Any]:
    return {
        "fingerprint": group.fingerprint,
        "definition": group.definition,
        "error_type": group.error_type,
        "place": group.place,
        "message": group.message,
        "count": group.count,
        "failed_now": group.open_tasks,
        "first_seen": group.first_seen.isoformat(),
        "last_seen": group.last_seen.isoformat(),
        "latest_task": str(group.task_id) if group.task_id else None,
    }


def _when(moment: datetime) -> str:
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return f"{local:%Y-%m-%d %H:%M}"
