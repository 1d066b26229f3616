"""The checkpoint: a step of a task that is done once and reused by later attempts."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from .task import Task


class Checkpoint(models.Model):
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="checkpoints")
    key = models.CharField(max_length=255)
    value = models.JSONField(null=True)
    attempt = models.PositiveIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = (models.UniqueConstraint(fields=("task", "key"), name="taskcenter_checkpoint_once"),)

    def __str__(self) -> str:
        return self.key
