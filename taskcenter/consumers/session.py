"""Whether the person behind a socket is still signed in: a socket may outlive a session."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user, get_user_model

from .messages import Close, Refused

__all__ = ["current_user"]


def current_user(session_key: str | None, user: Any) -> Any:
    """The person, read afresh. Raises Refused when the session has ended or they are active no more."""
    fresh: Any = get_user_model()._default_manager.filter(pk=user.pk).first()  # noqa: SLF001 public by convention
    if fresh is not None and not fresh.is_active:
        raise Refused(Close.NOT_ALLOWED, "This account is not active any more.")
    if fresh is not None and session_key is not None:
        engine = import_module(settings.SESSION_ENGINE)
        # get_user() also refuses sessions from before a change of password.
        request: Any = SimpleNamespace(session=engine.SessionStore(session_key), META={})
        fresh = get_user(request)
    if fresh is None or fresh.pk != user.pk:
        raise Refused(Close.SIGNED_OUT, "The session has ended.")
    return fresh
