"""One page of memory that a slot shares with its parent: what runs now, and what the parent wants.

Anonymous memory survives the slot's death, so the parent knows exactly which attempt was running.
The slot writes `attempt` last and clears it first; the parent acts only on what it read twice alike.
"""

from __future__ import annotations

import mmap
import struct
import uuid
from dataclasses import dataclass

__all__ = ["Page", "Running"]

_RUNNING = struct.Struct("<16sIdd")  # task id, attempt, begun (monotonic seconds), time limit (0: none)
_ATTEMPT_AT = 16
_WORKER_AT = 64
_CANCEL_AT = 96
_STOP_AT = 100
_PAUSE_AT = 101


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
        struct.pack_into("<I", self._memory, _CANCEL_AT, 0)
        struct.pack_into("<I", self._memory, _ATTEMPT_AT, running.attempt)

    def end(self) -> None:
        struct.pack_into("<I", self._memory, _ATTEMPT_AT, 0)

    # Read by the parent.

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
    def cancelled_attempt(self) -> int:
        """The attempt that was asked to stop; 0 for none."""
        found: int = struct.unpack_from("<I", self._memory, _CANCEL_AT)[0]
        return found

    @cancelled_attempt.setter
    def cancelled_attempt(self, attempt: int) -> None:
        struct.pack_into("<I", self._memory, _CANCEL_AT, attempt)

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
