"""One file per thing measured. Each takes a stand (or what makes one) and gives numbers by name."""

from __future__ import annotations

from . import admin, backlog, frames, held, latency, memory, overhead, sockets, sqlite, statements

__all__ = [
    "ALL",
    "IN_ROUNDS",
    "LIVE",
    "admin",
    "backlog",
    "frames",
    "held",
    "latency",
    "memory",
    "overhead",
    "sockets",
    "sqlite",
    "statements",
]

IN_ROUNDS = ("latency", "memory", "statements", "naps", "drain", "enqueue")
"""Measured on every runner in every round, in this order."""

LIVE = ("overhead", "frames", "sockets")
"""What it costs to watch."""

ALL = (*IN_ROUNDS, *LIVE, "sqlite", "held", "admin")
"""Those after IN_ROUNDS are asked of TaskCenter alone, after the rounds."""
