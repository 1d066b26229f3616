"""`manage.py recover_tasks`: find tasks that no one is running, and put them right."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from taskcenter.management.preflight import require_database, require_queues
from taskcenter.models import Task
from taskcenter.recovery import TaskRecovery


class Command(BaseCommand):
    help = "Find tasks whose worker is dead and run them again, or fail them when their crashes are used up."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument("--reason", default="recover_tasks", metavar="TEXT", help="Why; kept in each history.")
        parser.add_argument("--task", help="Only this task, by its id.")
        parser.add_argument("--queue", help="Only tasks of this queue.")
        parser.add_argument("--older-than", type=float, metavar="S", help="Only attempts begun S seconds ago or more.")
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, **options: Any) -> None:
        if options["queue"]:
            require_queues([options["queue"]])
        require_database()
        found = self._one(options) if options["task"] else self._lost(options)
        self._print(found, options)

    def _one(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            task_id = uuid.UUID(options["task"])
        except ValueError:
            raise CommandError(f"{options['task']!r} is not a task id: it looks like {uuid.UUID(int=0)}.") from None
        if not Task.objects.filter(id=task_id).exists():
            raise CommandError(f"There is no task {task_id}.")
        is_chosen = any(task.id == task_id for task in self._chosen(options))
        if options["dry_run"]:
            return [_line(task_id, moved=is_chosen, text="Would be recovered." if is_chosen else "Nothing to recover.")]
        if not is_chosen and (options["queue"] or options["older_than"]):
            return [_line(task_id, moved=False, text="Nothing to recover: not lost, or not among those asked for.")]
        outcome = TaskRecovery().recover_task(task_id, reason=options["reason"])
        return [_line(task_id, moved=outcome.moved, text=outcome.text)]

    def _lost(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        recovery = TaskRecovery()
        lines = []
        for task in self._chosen(options):
            if options["dry_run"]:
                lines.append(
                    _line(task.id, moved=True, text=f"Would be recovered: {task.label}, attempt {task.attempt}.")
                )
            else:
                outcome = recovery.recover_task(task.id, reason=options["reason"])
                lines.append(_line(task.id, moved=outcome.moved, text=outcome.text))
        if not (options["dry_run"] or options["queue"] or options["older_than"]):
            recovery.recover_stuck_tasks()
            recovery.delete_orphans()
        return lines

    def _chosen(self, options: dict[str, Any]) -> list[Task]:
        before = timezone.now() - timedelta(seconds=options["older_than"] or 0)
        lost = TaskRecovery().lost_tasks(queue=options["queue"] or "")
        return [task for task in lost if task.attempted_at is None or task.attempted_at <= before]

    def _print(self, lines: list[dict[str, Any]], options: dict[str, Any]) -> None:
        if options["format"] == "json":
            self.stdout.write(json.dumps({"dry_run": options["dry_run"], "tasks": lines}, indent=2))
            return
        for line in lines:
            self.stdout.write(f"{line['task']}  {line['text']}")
        if not lines:
            self.stdout.write("No task is lost: every running task has a living worker.")


def _line(task_id: uuid.UUID, *, moved: bool, text: str) -> dict[str, Any]:
    return {"task": str(task_id), "recovered": moved, "text": text}
