"""The share: a link by which people without an account watch one task, until it ends or is taken back."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any, Self

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.db import models
from django.utils import timezone

from .task import Task

NONCE_BYTES = 16
"""128 bits: nobody guesses one, so guessing need not be slowed down."""


def _signer() -> Signer:
    return Signer(sep=".", salt="taskcenter.share")


def _nonce() -> str:
    return secrets.token_urlsafe(NONCE_BYTES)


class ShareQuerySet(models.QuerySet["Share"]):
    def alive(self) -> Self:
        """Neither past their time nor revoked."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now())

    def newest_first(self) -> Self:
        return self.order_by("-id")

    def make(self, task: Task, maker: Any, lasts: timedelta) -> Share:
        now = timezone.now()
        return self.create(task=task, created_by=maker, created_at=now, expires_at=now + lasts)

    def opened_by(self, token: str) -> Share | None:
        """The living share that this token opens. What we did not sign is not even looked up."""
        try:
            nonce = _signer().unsign(token)
        except BadSignature:
            return None
        return self.alive().select_related("created_by").filter(nonce=nonce).first()

    def revoke(self) -> int:
        """Take these back, for good; how many lived."""
        return self.alive().update(revoked_at=timezone.now())


class Share(models.Model):
    """One link. The row alone does not make one: its token is signed with the site's key."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="shares")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    nonce = models.CharField(max_length=32, unique=True, default=_nonce, editable=False)

    objects = ShareQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = (("share_task", "Can share a task with people without an account"),)

    def __str__(self) -> str:
        return f"Link to {self.task_id} until {self.expires_at:%Y-%m-%d %H:%M}"

    @property
    def token(self) -> str:
        """The secret part of the link's address."""
        return _signer().sign(self.nonce)
