"""Plugs inside of a slot, at moments that no signal from outside can hit.

SABOTAGE names the moment in a worker's environment. The test arms the plug, whoever comes there first pulls
it, once: the file `armed` beside the ledger is then called `pulled`, and names the tasks that were in hand.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.db import OperationalError

from taskcenter.models.engine.postgres import PostgresEngine
from taskcenter.models.engine.rows import Turned
from taskcenter.models.engine.sqlite import SQLiteEngine
from taskcenter.worker import story
from taskcenter.worker.desk import Desk

from . import book

__all__ = ["VARIABLE", "install"]

VARIABLE = "SABOTAGE"


def install(moment: str) -> None:
    """Put the plug of that moment into this process and its slots to come."""
    _PLUGS[moment]()


def _pull(tasks: Iterable[object]) -> bool:
    """Whether the plug was armed, and is ours to pull."""
    armed = Path(os.environ[book.VARIABLE]).with_name("armed")
    pulled = armed.with_name("pulled")
    try:
        armed.rename(pulled)  # one process succeeds
    except FileNotFoundError:
        return False
    pulled.write_text("\n".join(map(str, tasks)), encoding="ascii")
    return True


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _lose_the_answer() -> None:
    raise OperationalError("the connection was lost behind the commit")


def _after_turn(is_the_moment: Callable[[Any, Turned], bool], then: Callable[[], None]) -> None:
    def wrapped(original: Callable[..., Turned]) -> Callable[..., Turned]:
        def turn(self: Any, ended: Any, want: Any) -> Turned:
            turned = original(self, ended, want)
            if is_the_moment(ended, turned) and _pull(row.id for row in turned.claimed):
                then()
            return turned

        return turn

    for engine in (PostgresEngine, SQLiteEngine):
        engine.turn = wrapped(engine.turn)  # type: ignore[method-assign]  # that is the sabotage


def _before_body() -> None:
    perform = story.perform

    def sabotaged(attempt: story.Attempt) -> Any:
        if _pull([attempt.claimed.id]):
            _die()
        return perform(attempt)

    story.perform = sabotaged


def _at_end(*, noted: bool) -> None:
    done = Desk.done

    def sabotaged(self: Desk, ended: Any) -> float:
        took = done(self, ended) if noted else 0.0
        if ended is not None and _pull([ended.claimed.id]):
            _die()
        return took if noted else done(self, ended)

    Desk.done = sabotaged  # type: ignore[method-assign]  # that is the sabotage


def _at_chunk(*, committed: bool) -> None:
    """In the middle of an operator's action on many tasks: before or behind the commit of a chunk."""
    from taskcenter.operations import work

    keep, chunk = work.Place.keep, work._chunk

    def die_or_keep(self: Any, context: Any) -> None:
        if self.seen > work.CHUNK and _pull([context.row.id]):
            _die()
        keep(self, context)

    def chunk_and_die(context: Any, *args: Any) -> Any:
        place = chunk(context, *args)
        if place.seen > work.CHUNK and _pull([context.row.id]):
            _die()
        return place

    if committed:
        work._chunk = chunk_and_die
    else:
        work.Place.keep = die_or_keep  # type: ignore[method-assign]  # that is the sabotage


_PLUGS: dict[str, Callable[[], None]] = {
    "claimed": lambda: _after_turn(lambda ended, turned: bool(turned.claimed) and not ended, _die),
    "begun": _before_body,
    "returned": lambda: _at_end(noted=False),
    "to be written": lambda: _at_end(noted=True),
    "written": lambda: _after_turn(lambda ended, turned: bool(ended and turned.claimed), _die),
    "chunk undone": lambda: _at_chunk(committed=False),
    "chunk done": lambda: _at_chunk(committed=True),
    "answer lost": lambda: _after_turn(lambda ended, turned: bool(ended and turned.claimed), _lose_the_answer),
}
