"""Millions of tasks as a busy site has them after a month: most completed, some failed, few alive.

One INSERT … SELECT, whose values depend on the number of the row alone, so that every run has the same.
The queue "old" was used only in the first tenth: what is newest first must not walk over all others to find it.
"""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from taskcenter.models import Worker

LIVE = 2000
OWNERS = 50
REPORTS_EVERY = 100
MONTH = 30 * 86_400

_MADE = "%(now)s::timestamptz - ({rows} - n)::float8 / {rows} * %(month)s * INTERVAL '1 second'"
_LIVE = "(n > {rows} - {live})"
_STATE = (
    f"CASE WHEN {_LIVE} THEN (ARRAY['pending','pending','pending','processing','scheduled'])[1 + n %% 5]"
    " WHEN n %% 50 = 0 THEN 'failed' WHEN n %% 100 = 1 THEN 'cancelled' ELSE 'completed' END"
)
_TASKS = """
INSERT INTO taskcenter_task (id, definition, queue, priority, state, rev, attempt, failures, crashes, interrupted,
    max_attempts, max_crashes, run_after, created_at, started_at, attempted_at, finished_at, worker_id, args, kwargs,
    result, metadata, error_type, error_message, fingerprint, progress, progress_state, title, tags, owner_id,
    limit_key, waits_for, code_version)
SELECT (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n %% 4096), 3, '0')
        || '8' || lpad(to_hex(n), 15, '0'))::uuid,
    'benchmarks.projects.admin.tasks.' || (ARRAY['send','send','load','draw'])[1 + n %% 4],
    CASE WHEN n <= {rows} / 10 AND n %% 20 = 0 THEN 'old'
         ELSE (ARRAY['mail','mail','imports','reports'])[1 + n %% 4] END,
    0, state, 3, CASE WHEN state IN ('pending', 'cancelled') THEN 0 ELSE 1 END,
    CASE WHEN state IN ('failed', 'scheduled') THEN 1 ELSE 0 END, 0, 0, 3, 3,
    CASE WHEN state = 'scheduled' THEN made + INTERVAL '1 day' END, made,
    CASE WHEN state NOT IN ('pending', 'cancelled') THEN made + INTERVAL '1 second' END,
    CASE WHEN state NOT IN ('pending', 'cancelled') THEN made + INTERVAL '1 second' END,
    CASE WHEN state IN ('completed', 'failed', 'cancelled') THEN made + INTERVAL '8 seconds' END,
    CASE WHEN state = 'processing' THEN %(worker)s::uuid END,
    '[]', jsonb_build_object('number', n, 'path', 'uploads/' || md5(n::text) || '.csv'),
    CASE WHEN state = 'completed' THEN jsonb_build_object('rows', n) END, '{{}}',
    CASE WHEN state = 'failed' THEN 'ValueError' ELSE '' END,
    CASE WHEN state = 'failed' THEN 'line ' || n || ' has 9 fields, expected 8' ELSE '' END,
    CASE WHEN state = 'failed' THEN md5((n %% 40)::text) ELSE '' END,
    CASE WHEN state = 'completed' THEN 1 END, '{{}}',
    CASE n %% 4 WHEN 2 THEN 'Import ' || (ARRAY['sales','stock','orders','people'])[1 + n / 4 %% 4] || ' ' || n
                WHEN 3 THEN 'Report ' || n ELSE '' END,
    '[]', CASE WHEN n %% 3 = 0 THEN (%(owners)s::int[])[1 + n %% {owners}] END, '', 0, ''
FROM (SELECT n, {made} AS made, {state} AS state FROM generate_series(1, {rows}) AS n) AS t"""
_REPORTS = """
INSERT INTO taskcenter_report (task_id, attempt, owner_id, title, data, is_final, created_at)
SELECT id, 1, owner_id, 'What was found', '{"summary": "All is well."}', true, finished_at
FROM taskcenter_task WHERE state = 'completed' AND ('x' || right(id::text, 8))::bit(32)::bigint %% %(every)s = 2"""
_EVENTS = """
INSERT INTO taskcenter_taskevent (task_id, seq, attempt, kind, level, text, data, at)
SELECT id, 1, 1, 'failed', 'error', error_message, '{"traceback": "File x.py"}', finished_at
FROM taskcenter_task WHERE state = 'failed'"""


def fill(rows: int) -> None:
    """Write them, and let the database learn about them."""
    users = [get_user_model().objects.create_user(f"person{number}") for number in range(OWNERS)]
    alive = timezone.now() + timedelta(days=1)  # nobody touches its row while pages are opened
    worker = Worker.objects.create(name="worker", host="web1", pid=1, queues=["mail"], heartbeat_at=alive)
    given = {"rows": rows, "live": LIVE, "owners": OWNERS}
    sql = _TASKS.format(made=_MADE.format(**given), state=_STATE.format(**given), **given)
    values = {"now": timezone.now(), "month": MONTH, "worker": worker.pk, "owners": [user.pk for user in users]}
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute(sql, values)
        cursor.execute(_REPORTS, {"every": REPORTS_EVERY})
        cursor.execute(_EVENTS)
        cursor.execute("VACUUM (ANALYZE)")
