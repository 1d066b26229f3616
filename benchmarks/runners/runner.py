"""What the harness must know of a runner."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Runner"]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Something that runs tasks, with two at a time."""

    name: str
    about: str
    """One line for the report."""
    project: str
    """Its Django project: a folder of benchmarks/projects."""
    pins: tuple[str, ...]
    """What its environment holds."""
    workers: tuple[tuple[str, ...], ...]
    """The arguments of the environment's Python, one tuple per process to start."""
    done: str
    """How finished tasks are counted: a SELECT, or a Redis command and its key."""
    tasks: int
    """No-op tasks in a drain: some seconds' worth."""
    bulk: bool = False
    """Whether its project has `enqueue_many`."""
    pace: float = 50
    """Tasks a second while latency is measured."""
    environment: tuple[tuple[str, str], ...] = ()
    """Variables that its project reads."""
