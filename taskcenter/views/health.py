"""For load balancers and monitors: does work move, and may this process be sent requests?"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from taskcenter.conf import get_settings
from taskcenter.models import Queue, Task, TaskQuerySet, Worker
from taskcenter.models.worker import stale_before
from taskcenter.states import State
from taskcenter.wire import try_redis

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["health", "ready"]


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 a view is given one
    """200 while work moves; 503 when tasks that are due wait and no living worker serves their queue.

    A Redis outage alone is reported but is not red: workers then claim by themselves.
    """
    try:
        found = _look(timezone.now())
    except DatabaseError:
        return JsonResponse({"ok": False, "database": False, "reasons": ["The database does not answer."]}, status=503)
    return JsonResponse(found, status=200 if found["ok"] else 503)


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:  # noqa: ARG001 as above
    """200 once the database answers and every migration is applied."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        migrated = _migrated()
    except DatabaseError:
        return JsonResponse({"ok": False, "database": False}, status=503)
    if not migrated:
        _migrated.cache_clear()
    return JsonResponse({"ok": migrated, "database": True, "migrated": migrated}, status=200 if migrated else 503)


@cache
def _migrated() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def _look(now: datetime) -> dict[str, Any]:
    stale_after = get_settings().STALE_AFTER
    alive = list(Worker.objects.alive().values_list("queues", flat=True))
    served = {queue for queues in alive for queue in queues}
    paused = set(Queue.objects.paused().values_list("name", flat=True))
    due = Task.objects.exclude(queue__in=paused) if paused else Task.objects.all()
    unserved = _oldest_wait(due.exclude(queue__in=served), now) if served else _oldest_wait(due, now)
    lost = Task.objects.lost(stale_before()).count()
    reasons = []
    if unserved is not None and unserved > stale_after:
        reasons.append("Tasks wait, and no living worker serves their queue.")
    if lost and not alive:
        reasons.append("Tasks are lost, and no living worker can recover them.")
    return {
        "ok": not reasons,
        "reasons": reasons,
        "database": True,
        "redis": bool(try_redis(lambda redis: redis.ping())),
        "workers": len(alive),
        "oldest_due_seconds": _oldest_wait(due, now),
        "lost_tasks": lost,
    }


def _oldest_wait(rows: TaskQuerySet, now: datetime) -> float | None:
    """Seconds that the oldest due task has waited; None when none waits. Walks two indexes."""
    pending = rows.filter(state=State.PENDING).order_by("id").only("created_at", "run_after", "attempted_at").first()
    overdue = rows.due().only("run_after").first()
    since = [overdue.run_after] if overdue and overdue.run_after else []
    if pending:
        # A task that comes back waits since it came back, as far as its row can tell.
        since.append(max(filter(None, (pending.created_at, pending.run_after, pending.attempted_at))))
    return round(max(0.0, (now - min(since)).total_seconds()), 1) if since else None
