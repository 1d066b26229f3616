"""One page of memory that a slot shares with its parent: what it holds and runs, and what the parent wants.

Anonymous memory survives the slot's death, so the parent knows exactly which attempt was running.
The slot writes `attempt` last and clears it first; the parent acts only on what it read twice alike.
"""

from __future__ import annotations

import mmap
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["MOST_HELD", "Attempt", "Page", "Running"]

MOST_HELD = 128
"""Attempts that fit on the page: the largest batch, twice."""

Attempt = tuple[uuid.UUID, int]
"""A task's id and the attempt that owns it."""

_RUNNING = struct.Struct("<16sIdd")  # task id, attempt, begun (monotonic seconds), time limit (0: none)
_ATTEMPT_AT = 16
_WORKER_AT = 64
_CANCEL_AT = 104
_STOP_AT = 100
_PAUSE_AT = 101
_HELD = struct.Struct("<16sI")  # task id, attempt
_HELD_COUNT_AT = 252
_HELD_AT = 256


@dataclass(frozen=True, slots=True)
class Running:
    """The attempt a slot runs, when it began (`time.monotonic()`) and its limit in seconds."""

    task_id: uuid.UUID
    attempt: int
    begun: float
    timeout: float


class Page:
    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)

    # Written by the slot.

    def begin(self, running: Running) -> None:
        packed = _RUNNING.pack(running.task_id.bytes, 0, running.begun, running.timeout)
        self._memory[: len(packed)] = packed
        struct.pack_into("<I", self._memory, _ATTEMPT_AT, running.attempt)

    def end(self) -> None:
        struct.pack_into("<I", self._memory, _ATTEMPT_AT, 0)

    def hold(self, attempts: Sequence[Attempt]) -> None:
        """Say what this slot has claimed and not yet written an end of; what runs is one of them."""
        struct.pack_into("<I", self._memory, _HELD_COUNT_AT, 0)
        packed = b"".join([_HELD.pack(task_id.bytes, attempt) for task_id, attempt in attempts[:MOST_HELD]])
        self._memory[_HELD_AT : _HELD_AT + len(packed)] = packed
        struct.pack_into("<I", self._memory, _HELD_COUNT_AT, len(packed) // _HELD.size)

    # Read by the parent.

    def held(self) -> list[Attempt]:
        """What the slot has claimed and not ended, as far as it could say."""
        count: int = struct.unpack_from("<I", self._memory, _HELD_COUNT_AT)[0]
        packed = self._memory[_HELD_AT : _HELD_AT + count * _HELD.size]
        return [(uuid.UUID(bytes=raw), attempt) for raw, attempt in _HELD.iter_unpack(packed)]

    def running(self) -> Running | None:
        """What the slot runs; None when it runs nothing, or is just changing over."""
        first, second = self._read(), self._read()
        return first if first == second and first.attempt else None

    def _read(self) -> Running:
        raw, attempt, begun, timeout = _RUNNING.unpack_from(self._memory, 0)
        return Running(uuid.UUID(bytes=raw), attempt, begun, timeout)

    # Written by the parent, read by the slot.

    @property
    def worker_id(self) -> uuid.UUID:
        """The incarnation of the worker that this slot claims for."""
        return uuid.UUID(bytes=bytes(self._memory[_WORKER_AT : _WORKER_AT + 16]))

    @worker_id.setter
    def worker_id(self, value: uuid.UUID) -> None:
        self._memory[_WORKER_AT : _WORKER_AT + 16] = value.bytes

    @property
    def cancelled(self) -> Attempt:
        """The attempt that was asked to stop last; number 0 for none."""
        raw, attempt = _HELD.unpack_from(self._memory, _CANCEL_AT)
        return uuid.UUID(bytes=raw), attempt

    @cancelled.setter
    def cancelled(self, asked: Attempt) -> None:
        _HELD.pack_into(self._memory, _CANCEL_AT, asked[0].bytes, asked[1])

    @property
    def stopping(self) -> bool:
        """Whether the slot must claim no more and end."""
        return bool(self._memory[_STOP_AT])

    @stopping.setter
    def stopping(self, value: bool) -> None:
        self._memory[_STOP_AT] = int(value)

    @property
    def paused(self) -> bool:
        """Whether the slot must claim nothing for now (`rqsuspend`)."""
        return bool(self._memory[_PAUSE_AT])

    @paused.setter
    def paused(self, value: bool) -> None:
        self._memory[_PAUSE_AT] = int(value)
