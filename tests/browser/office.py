"""One working day of a shop, as rows: every state a task can be in, and people who see more or less of it.

The same at every run: the time stands still, ids follow from the time, tracebacks name no machine.
Nothing runs here; what workers would have written is written by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import time_machine

from analysis import methods
from analysis.models import Analysis, Dataset
from analysis.samples import SAMPLES
from taskcenter.models import Duty, FailureGroup, Minute, Queue, Share, Task, TaskEvent
from taskcenter.models.minute import minute_of
from taskcenter.testing import clock
from tests.browser.noon import NOON
from tests.factories import make_event, make_notification, make_report, make_staff, make_task, make_user, make_worker

ALIVE, SILENT, STOPPED = UUID(int=0xA11E), UUID(int=0x51E7), UUID(int=0x570B)
RUSH = (2, 1, 1, 1, 2, 4, 9, 18, 30, 42, 55, 48, 31, 28, 33, 30, 26, 20, 14, 10, 8, 6, 4, 3)
"""Tasks a minute, by the hour."""
ALIKE = "5d41402abc4b2a76b9719d911017c592ae2f6c3b5d0e4a97c1f2d3e4b5a69788"

TRACEBACK = """Traceback (most recent call last):
  File "/srv/shop/tasks.py", line 58, in import_orders
    lines = read_lines(file)
  File "/srv/shop/parsing.py", line 41, in read_lines
    raise ValueError(f"line {number} has {len(fields)} fields, expected {expected}")
ValueError: line 41 has 9 fields, expected 8
"""


@contextmanager
def noon() -> Iterator[None]:
    """The time of the office: it stands still, for Python and for what asks the database."""
    with time_machine.travel(NOON, tick=False), clock(NOON):
        yield


def furnish() -> dict[str, Any]:
    """Fill an empty database; what addresses name of it, by name."""
    ann, root = _people()
    _workers()
    Queue.objects.pause("analysis", "The disk is being changed until 13:00")
    ids = {**_living(ann), **_ended(ann), **_failed_alike(ann, root), **_analyses(ann), "worker": ALIVE, "alike": ALIKE}
    _duties()
    _day_so_far()
    _share(ann, ids)
    return ids | {"digest": Task.objects.get(title="Weekly digest").reports.get().pk}


def nobody_works_here() -> dict[str, Any]:
    """The people only: what everybody sees on the first day."""
    _people()
    return {}


def _people() -> tuple[Any, Any]:
    ann = make_user("ann")
    make_user("nora")
    see = ("view_task", "view_queue", "view_worker", "view_report", "view_failuregroup")
    make_staff("vera", permissions=see)
    make_staff("stan")
    return ann, make_staff("root", is_superuser=True)


def _workers() -> None:
    today, queues = NOON - timedelta(hours=4), ["default", "mail"]
    known = [f"shop.tasks.{name}" for name in ("import_orders", "write_invoices", "send_digest", "resize_pictures")]
    make_worker(id=ALIVE, name="worker-1", slots=4, queues=queues, definitions=known, started_at=today, silent=2)
    make_worker(id=SILENT, name="worker-2", host="web2", queues=queues, started_at=today, silent=95)
    gone = {"started_at": NOON - timedelta(days=1), "stopped_at": today, "silent": 4 * 3600}
    make_worker(id=STOPPED, name="worker-0", host="web1", pid=3111, **gone)


def _task(minutes: float, state: str, title: str, **fields: Any) -> Task:
    """A task made so many minutes before noon. Its id says when, as that of any task does."""
    made = NOON - timedelta(minutes=minutes)
    milliseconds = int(made.timestamp() * 1000)
    values = {
        "id": UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | milliseconds * 2654435761 % 2**48),
        "title": title,
        "created_at": made,
    }
    begun = made + timedelta(seconds=1)
    if state in {"processing", "completed", "failed"}:
        values |= {"attempt": 1, "started_at": begun, "attempted_at": begun}
    return make_task(state, **{**values, "definition": "shop.tasks.import_orders", **fields})


def _told(progress: float, message: str, moved: float = 1, **metadata: Any) -> dict[str, Any]:
    """Progress as the row keeps it; it last moved so many seconds before noon."""
    at = (NOON - timedelta(seconds=moved)).isoformat()
    metadata = {"message": message, "moved_at": at, "longest_pause": 2.0, **metadata}
    kept = {"attempt": 1, "seq": 40, "status": "processing", "metadata": metadata, "updated_at": at}
    return {"progress": progress, "progress_state": kept}


def _event(task: Task, kind: str, text: str, seconds: float, **fields: Any) -> None:
    """A line of history, so many seconds after the attempt began."""
    at = (task.attempted_at or task.created_at) + timedelta(seconds=seconds)
    TaskEvent.objects.filter(pk=make_event(task, kind, text, **fields).pk).update(at=at)


def _living(ann: Any) -> dict[str, Any]:
    rows = {"done": 620, "total": 1000, "unit": "rows", "rate": 25.0, "eta_s": 15.2, "stage": "Reading"}
    mine: dict[str, Any] = {"owner": ann}
    on_it = {"worker_id": ALIVE, **mine}
    alive = {
        "running": _task(0.68, "processing", "Import orders of November", **on_it, **_told(0.62, "Reading", **rows)),
        "stalled": _task(19, "processing", "Resize pictures", **on_it, **_told(0.31, "picture 93 of 300", 640)),
        "cancelling": _task(
            3, "processing", "Write invoices", cancel_requested_at=NOON - timedelta(seconds=4), **on_it,
            **_told(0.8, "invoice 80 of 100"),
        ),
        "lost": _task(6, "processing", "Import returns", **mine, worker_id=SILENT, **_told(0.44, "row 440", 96)),
        "retrying": _task(
            2, "scheduled", "Fetch exchange rates", run_after=NOON + timedelta(seconds=31), attempt=2, failures=2,
            max_attempts=5, error_type="builtins.ConnectionError", error_message="The bank does not answer", **mine,
        ),
        "scheduled": _task(50, "scheduled", "Monthly closing", run_after=NOON + timedelta(hours=12), **mine),
        "waiting": _task(4, "pending", "Write invoices of returns", queue="analysis", **mine),
        "blocked": _task(5, "blocked", "Tell the warehouse", waits_for=1, **mine),
    }  # fmt: skip
    for attempt in (1, 2):
        fault = "ConnectionError: The bank does not answer"
        told = {"attempt": attempt, "worker_id": ALIVE}
        after = 41 * attempt - 40
        _event(alive["retrying"], TaskEvent.Kind.FAILED, fault, after, level="error", **told)
        _event(alive["retrying"], TaskEvent.Kind.RETRY_PLANNED, f"in {40 * attempt} seconds", after, **told)
    _event(alive["cancelling"], TaskEvent.Kind.CANCEL_ASKED, "The prices were wrong", 174, attempt=1, actor=ann)
    return {name: task.pk for name, task in alive.items()}


def _ended(ann: Any) -> dict[str, Any]:
    digest = _task(
        61, "completed", "Weekly digest", owner=ann, definition="shop.tasks.send_digest", queue="default",
        finished_at=NOON - timedelta(minutes=60), result={"letters": 1204},
    )  # fmt: skip
    stopped = _task(35, "cancelled", "Import orders twice", owner=ann, finished_at=NOON - timedelta(minutes=34))
    _event(stopped, TaskEvent.Kind.CANCELLED, "It was already there", 60, actor=ann)
    made = {"created_at": digest.finished_at}
    make_report(digest, title="Weekly digest", data=_digest(), **made)
    make_notification(digest, text="Weekly digest is ready: 1,204 letters", read_at=NOON, **made)
    return {"completed": digest.pk, "cancelled": stopped.pk}


def _digest() -> dict[str, Any]:
    letters = {"kind": "bar", "title": "Letters by day", "finding": "Most letters leave on Monday.",
               "labels": ["Mon", "Tue", "Wed", "Thu", "Fri"], "values": [402, 240, 198, 205, 159]}  # fmt: skip
    return {
        "summary": "1,204 letters were sent, 3 came back.",
        "warnings": ["3 addresses do not exist any more."],
        "facts": {"letters": 1204, "came_back": 3, "took_seconds": 58.2},
        "charts": [letters],
        "tables": [{"title": "What came back", "columns": ["Address", "Why"], "rows": [["box 12", "moved"]]}],
    }


def _failed_alike(ann: Any, root: Any) -> dict[str, Any]:
    """Four that failed in the same place, and their group."""
    error = {"error_type": "builtins.ValueError", "error_message": "line 41 has 9 fields, expected 8"}
    failed = [
        _task(
            15 + 3 * number, "failed", title, owner=ann, fingerprint=ALIKE, **error, failures=1, worker_id=ALIVE,
            kwargs={"file": f"{title.split()[-1]}.csv", "api_token": "of the shop"},
            finished_at=NOON - timedelta(minutes=14 + 3 * number), **_told(0.04, "row 40"),
        )
        for number, title in enumerate(("Import orders of May", "Import orders of June", "Import orders of July"))
    ]  # fmt: skip
    for task in failed:
        _event(task, TaskEvent.Kind.LOG, "Opened the file, 1,000 lines", 2, attempt=1, worker_id=ALIVE)
        broken = {"traceback": TRACEBACK}
        text = "ValueError: line 41 has 9 fields, expected 8"
        _event(task, TaskEvent.Kind.FAILED, text, 59, attempt=1, worker_id=ALIVE, level="error", data=broken)
        make_notification(task, text=f"{task.title} failed", created_at=task.finished_at)
    FailureGroup.objects.create(
        fingerprint=ALIKE, definition="shop.tasks.import_orders", error_type="builtins.ValueError",
        place="shop.parsing in read_lines", message="line 41 has 9 fields, expected 8", task_id=failed[0].pk,
        first_seen=NOON - timedelta(days=2), last_seen=NOON - timedelta(minutes=14), count=7,
    )  # fmt: skip
    return {"failed": failed[0].pk}


def _analyses(ann: Any) -> dict[str, Any]:
    ready = _analysis(ann, 130, "completed", "penguins.csv")
    task = Task.objects.get(pk=ready.task_id)
    report = make_report(task, title="penguins.csv", data=penguins(), created_at=task.finished_at)
    Analysis.objects.filter(pk=ready.pk).update(report=report)
    checking = _told(0.02, "row 41", 5400, stage="Checking the file")
    broken = _analysis(
        ann, 90, "failed", "stock.csv", told=checking, error_code="ragged", error_where="line 41",
        error_what="Line 41 has 9 fields, the header has 8.",
        error_hint="Put quotes around values that hold a comma, and upload the file again.",
    )  # fmt: skip
    Task.objects.filter(pk=broken.task_id).update(error_type="analysis.methods.RaggedRows")
    stage = {"stage": "Looking for problems", "done": 5, "total": 11, "unit": "columns"}
    running = _analysis(ann, 0.5, "processing", "orders.csv", told=_told(0.46, "duplicates", **stage))
    waiting = _analysis(ann, 0.2, "pending", "returns.csv")
    stopped = _analysis(
        ann, 70, "cancelled", "orders-old.csv", told=_told(0.2, "row 2,000", 4200, stage="Reading the rows")
    )
    make_notification(task, text="penguins.csv is ready", created_at=task.finished_at)
    found = {"ready": ready, "broken": broken, "analysing": running, "queued": waiting, "stopped": stopped}
    return {name: row.pk for name, row in found.items()} | {"penguins": report.pk}


def _analysis(
    ann: Any, minutes: float, status: str, name: str, *, told: dict[str, Any] | None = None, **error: str
) -> Analysis:
    made, ended = NOON - timedelta(minutes=minutes), NOON - timedelta(minutes=minutes - 0.4)
    over = {"finished_at": ended} if status in {"completed", "failed", "cancelled"} else {}
    worker = {"worker_id": ALIVE} if status == "processing" else {}
    task = _task(
        minutes, status, name, owner=ann, definition="analysis.tasks.analyze", queue="analysis", **over, **worker,
        **(told or {}),
    )  # fmt: skip
    size = len(name) * 12_345
    dataset = Dataset.objects.create(
        id=UUID(int=task.pk.int + 1), owner=ann, name=name, size=size, sha256="ab" * 32, file=f"datasets/{name}"
    )
    return Analysis.objects.create(
        id=UUID(int=task.pk.int + 2), dataset=dataset, owner=ann, status=status, task_id=task.pk, created_at=made,
        **over, **error,
    )  # fmt: skip


@cache
def penguins() -> dict[str, Any]:
    """What the site finds in its own sample: made once, for it takes seconds."""
    sample = SAMPLES["penguins"]
    with TemporaryDirectory() as folder:
        report = methods.analyze_file(sample.path, name=sample.file_name, workdir=Path(folder))
    return report.as_dict()


def _duties() -> None:
    ran = {"last_started_at": NOON - timedelta(seconds=40), "last_finished_at": NOON - timedelta(seconds=39)}
    Duty.objects.create(name="dispatch", next_due=NOON + timedelta(seconds=20), last_outcome="3 promoted", **ran)
    Duty.objects.create(name="recover", next_due=NOON - timedelta(minutes=9), last_outcome="nothing lost", **ran)


def _day_so_far() -> None:
    """What was counted since yesterday: quiet nights, a rush at ten, and files that came broken for half an hour."""
    noon = minute_of(NOON)
    rows = []
    for minute in range(noon - 24 * 60, noon):
        hour, within = divmod(minute % (24 * 60), 60)
        busy = RUSH[hour] * (20 + minute % 7) // 20
        broken = 6 if (hour, within // 30) == (9, 1) else minute % 31 == 0
        kinds = {"completed": (busy, 22 + minute % 5), "failed": (int(broken), 15), "waiting": (busy // 3, 0)}
        rows += [
            Minute(minute=minute, queue="default", kind=kind, tasks=tasks, took=took)
            for kind, (tasks, took) in kinds.items()
            if tasks
        ]
    Minute.objects.bulk_create(rows)
    Minute.objects.sum_up(noon - 24 * 60, noon)


def _share(ann: Any, ids: dict[str, Any]) -> None:
    """Links to a task that runs, to one with a report, and to one that failed."""
    for number, name in enumerate(("running", "completed", "failed")):
        made = Share.objects.make(Task.objects.get(pk=ids[name]), ann, timedelta(days=1))
        made.nonce = str(number) * 32
        made.save()
        ids[f"share_{name}"] = made.token
