"""Enqueue: the row first, in the caller's transaction; the pointer when that commits.

Rows go where the database router says, and the pointer waits for the commit of that same database.
They are written by the statements of `models.inserts`, which send no `post_save`: to hear of new tasks,
listen to Django's `task_enqueued`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar, overload

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.utils import timezone

from . import lifecycle, pointers
from .compat import after_commit, uuid7
from .conf import get_settings
from .definitions import TaskDefinition
from .exceptions import AlreadyEnqueued, NotJSON
from .models import Task
from .models.inserts import Draft, insert, insert_many, row_of
from .payload import packed, packed_together
from .pointers import ENOUGH
from .states import State

__all__ = ["Built", "Placed", "enqueue", "enqueue_many", "key_hash", "place"]

T = TypeVar("T")


class Built(Sequence[T]):
    """A sequence whose items are built when somebody looks at them, and kept from then on.

    Most callers of enqueue_many() look at none of ten thousand, or at their ids.
    """

    def __init__(self, length: int, build: Callable[[int], T]) -> None:
        self._length = length
        self._build = build
        self._built: dict[int, T] = {}

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(self._length))]
        number = range(self._length)[index]  # counts from the end, and raises IndexError, as a list does
        if number not in self._built:
            self._built[number] = self._build(number)
        return self._built[number]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._length} items>"


class Placed(NamedTuple):
    """What came of enqueueing one task."""

    draft: Draft
    holder: Task | None
    """The live task that holds its unique key and stays, instead of a new one."""
    alias: str
    owner: Any

    @property
    def row(self) -> Task:
        """Made when somebody looks at it: most callers want no more than the id."""
        return self.holder or _row(self.alias, self.draft, self.owner)


def enqueue(definition: TaskDefinition, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Task, bool]:
    """See place(): the task's row, and whether it is new."""
    placed = place(definition, args, kwargs)
    return placed.row, placed.holder is None


def place(definition: TaskDefinition, args: Sequence[Any], kwargs: dict[str, Any]) -> Placed:
    """Enqueue one task; for a `unique_key` that a live task holds see `on_conflict`.

    Raises InvalidPayload before anything is written; AlreadyEnqueued for `on_conflict="raise"`.
    """
    alias = router.db_for_write(Task)
    draft = _draft(definition)
    draft["id"] = uuid7()
    draft["args"], draft["kwargs"] = _packed_call(args, kwargs)
    holder = _write(alias, draft, definition.on_conflict)
    if holder is None and draft["state"] == State.PENDING:
        after_commit(pointers.wake, draft["id"], draft["queue"], using=alias)
    return Placed(draft, holder, alias, definition.owner)


def enqueue_many(definition: TaskDefinition, arguments: Sequence[dict[str, Any]]) -> Built[Task]:
    """One task per dict of keyword arguments: all of them or none, one push for all.

    The rows given back are built when they are looked at. Raises InvalidPayload before anything is
    written, ValueError for a definition with a `unique_key`.
    """
    if definition.unique_key is not None:
        raise ValueError("enqueue_many() makes many tasks; a unique_key allows one.")
    alias = router.db_for_write(Task)
    draft = {**_draft(definition), "args": "[]"}
    texts = [_packed_kwargs(kwargs) for kwargs in arguments]
    ids = [uuid7() for _ in texts]
    with transaction.atomic(using=alias):
        insert_many(alias, draft, ids, texts)
        if draft["state"] == State.PENDING:
            after_commit(pointers.push, [(task_id, draft["queue"]) for task_id in ids[:ENOUGH]], using=alias)
    return Built(
        len(ids), lambda index: _row(alias, {**draft, "id": ids[index], "kwargs": texts[index]}, definition.owner)
    )


def _packed_call(args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    limit = get_settings().ARGS_LIMIT
    return packed_together((list(args), kwargs), limit=limit, what="arguments")


def _packed_kwargs(kwargs: dict[str, Any]) -> str:
    text = packed(kwargs, limit=get_settings().ARGS_LIMIT, what="arguments")
    if text[0] != "{":
        raise NotJSON(f"Each task's arguments must be a dict, not {type(kwargs).__name__}.")
    return text


def _draft(definition: TaskDefinition) -> Draft:
    """What the definition decides: all but the id and the arguments."""
    now = timezone.now()
    delayed = definition.run_after is not None and definition.run_after > now
    return {
        "id": None,
        "definition": definition.module_path,
        "queue": definition.queue_name,
        "priority": definition.priority,
        "state": State.SCHEDULED.value if delayed else State.PENDING.value,
        "max_attempts": definition.attempts_allowed,
        "max_crashes": definition.crashes_allowed,
        "timeout": definition.timeout,
        "run_after": definition.run_after if delayed else None,
        "created_at": now,
        "args": None,
        "kwargs": None,
        "metadata": _packed_extras("metadata", dict(definition.metadata)),
        "title": definition.title[:255],
        "tags": _packed_extras("tags", list(definition.tags)),
        "owner_id": _key_of(definition.owner),
        "unique_key": _hashed(definition),
    }


def _packed_extras(what: str, value: list[str] | dict[str, Any]) -> str:
    if not value:
        return "[]" if isinstance(value, list) else "{}"
    return packed(value, limit=get_settings().ARGS_LIMIT, what=what)


def _key_of(owner: Any) -> Any:
    """The owner's primary key; raises ValueError for what cannot own a task."""
    if owner is None:
        return None
    if not isinstance(owner, get_user_model()) or owner.pk is None:
        raise ValueError(f"A task's owner must be a saved {get_user_model().__name__}, not {owner!r}.")
    return owner.pk


def _hashed(definition: TaskDefinition) -> str | None:
    return None if definition.unique_key is None else key_hash(definition.module_path, definition.unique_key)


def key_hash(definition: str, unique_key: str) -> str:
    """What a task's row keeps of its unique key; keys of different definitions never meet."""
    return hashlib.sha256(f"{definition}\0{unique_key}".encode()).hexdigest()


def _row(alias: str, draft: Draft, owner: Any) -> Task:
    row = row_of(alias, draft)
    if owner is not None:
        row.owner = owner  # as the ORM has it: nobody needs to read it again
    return row


def _write(alias: str, draft: Draft, on_conflict: str) -> Task | None:
    """Insert the task; or the live one that holds its key, when that is to stay.

    The holder may end between the two looks: then there is none, and the insert is tried again.
    """
    if draft["unique_key"] is None:
        insert(alias, draft)
        return None
    if on_conflict == "replace":
        return _write_in_place(alias, draft)
    while not insert(alias, draft):
        holder = _holder(alias, draft)
        if holder is None:
            continue
        if on_conflict == "raise":
            raise AlreadyEnqueued(holder)
        return holder
    return None


def _write_in_place(alias: str, draft: Draft) -> Task | None:
    """Insert the task in place of a holder that waits; or the holder, when that has begun.

    The holder's row is locked before its state is judged: no worker can take it in between.
    """
    with transaction.atomic(using=alias):
        while not insert(alias, draft):
            holder = _holder(alias, draft, lock=True)
            if holder is None:
                continue
            if holder.state == State.PROCESSING:
                return holder
            lifecycle.request_cancel(holder.id, reason=f"Replaced by task {draft['id']}.")
    return None


def _holder(alias: str, draft: Draft, *, lock: bool = False) -> Task | None:
    rows = Task.objects.using(alias).live().filter(unique_key=draft["unique_key"])
    return (rows.select_for_update() if lock else rows).first()
