"""The tasks of the site."""

from __future__ import annotations

from typing import Any

from taskcenter import exponential, task

from .workers import AnalysisWorker, is_permanent

BACKOFF = exponential(5, cap=60)


def unless_permanent(error: BaseException, _result: Any) -> float | None:
    """Seconds to the next try; None for a file that no further try could read."""
    return None if is_permanent(error) else BACKOFF.seconds(1)


@task(queue_name="analysis", takes_context=True, timeout=30 * 60, max_attempts=2, backoff=unless_permanent)
def analyze(context: Any, analysis_id: str) -> dict[str, Any]:
    """Analyse one uploaded data set."""
    return AnalysisWorker().process_task(context, analysis_id)
