"""Runs the parts that may fail without failing the report: quality checks and added methods."""

import logging
from collections.abc import Callable

from .context import Context
from .findings import Finding

logger = logging.getLogger(__name__)


def run_softly(
    context: Context, name: str, function: Callable[[Context], list[Finding]]
) -> tuple[list[Finding], str | None]:
    """The findings, or none and a note why. What `check_cancelled` raised always goes through."""
    context.check_cancelled()
    try:
        return function(context), None
    except Exception as error:
        context.check_cancelled()
        if error is context.reporter.stopped:
            raise
        logger.warning("analysis method failed: %s", name, exc_info=True)
        return [], f"The check “{name}” could not run ({type(error).__name__})."
