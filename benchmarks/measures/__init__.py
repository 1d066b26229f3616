"""One file per thing measured. Each takes a stand (or what makes one) and gives numbers by name."""

from __future__ import annotations

from . import admin, backlog, held, latency, memory, sqlite, statements

__all__ = ["ALL", "IN_ROUNDS", "admin", "backlog", "held", "latency", "memory", "sqlite", "statements"]

IN_ROUNDS = ("latency", "memory", "statements", "naps", "drain", "enqueue")
"""Measured on every runner in every round, in this order."""

ALL = (*IN_ROUNDS, "sqlite", "held", "admin")
"""The last three are asked of TaskCenter alone, after the rounds."""
