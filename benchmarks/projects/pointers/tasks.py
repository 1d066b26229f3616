"""The same tasks as ours."""

from benchmarks.projects.ours.tasks import enqueue, enqueue_many

__all__ = ["enqueue", "enqueue_many"]
