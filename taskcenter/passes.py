"""Passes: a signed text that lets whoever holds it look at one task for an hour, and do nothing to it.

For pages shown to people who have not signed in. Nothing is kept: a pass cannot be called back, which is
why it is short-lived; a page that is loaded again gets a new one.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core import signing

__all__ = ["LIFETIME", "make_pass", "task_of"]

SALT = "taskcenter.pass"
PURPOSE = "view"
LIFETIME = 60 * 60
"""Seconds."""


def make_pass(task: Any) -> str:
    """A pass for that task (or its id). Keep it out of addresses: they end in logs and histories."""
    return signing.dumps([str(getattr(task, "id", task)), PURPOSE], salt=SALT)


def task_of(given: str) -> UUID | None:
    """The task that this pass opens; None when it is forged, too old, or none."""
    try:
        task_id, purpose = signing.loads(given, salt=SALT, max_age=LIFETIME)
        return UUID(task_id) if purpose == PURPOSE else None
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        return None
