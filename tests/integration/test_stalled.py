"""A task whose worker lives and whose progress stands still: shown as stalled, by its definition's usual pace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from taskcenter import task
from taskcenter.compat import InvalidTask
from taskcenter.models import Task
from taskcenter.progress import TaskProgress, frames, snapshots, standstill, store
from taskcenter.progress.store import Stored
from taskcenter.states import State
from tests.factories import PASSWORD, make_staff, make_task, make_worker

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client", "_nothing_known")]


@pytest.fixture
def _nothing_known() -> Iterator[None]:
    standstill.forget()
    yield
    standstill.forget()


@task(stalled_after=5)
def hasty() -> None:
    """Is expected to move every five seconds."""


@task(stalled_after=None)
def monk() -> None:
    """May be silent for as long as it likes."""


def ago(seconds: float) -> Any:
    return timezone.now() - timedelta(seconds=seconds)


def told(seconds: float, *, longest: float = 1, seq: int = 9, attempt: int = 1, **metadata: Any) -> dict[str, Any]:
    """What the row keeps of an attempt that last moved so many seconds ago."""
    at = ago(seconds).isoformat()
    metadata = {"moved_at": at, "longest_pause": longest, **metadata}
    return Stored(attempt=attempt, seq=seq, metadata=metadata, updated_at=at).for_row()


def completed(seconds: float, **fields: Any) -> Task:
    """A task of the past that ran for so long and told nothing, unless `fields` say otherwise."""
    return make_task(State.COMPLETED, attempted_at=ago(9000 + seconds), finished_at=ago(9000), **fields)


def running(seconds: float, *, silent_worker: float = 0, **fields: Any) -> Task:
    """A task that has run for so long, on a worker that was last heard of so many seconds ago."""
    return make_task(State.PROCESSING, worker=make_worker(silent=silent_worker), attempted_at=ago(seconds), **fields)


def shown(task: Task) -> str:
    [frame] = frames(None, Task.objects.filter(id=task.id))
    return str(frame["shown"])


def test_silence_for_much_longer_than_usual_is_a_standstill() -> None:
    completed(100)
    assert shown(running(290)) == "processing"
    assert shown(running(310)) == "stalled"


def test_of_tasks_that_tell_their_progress_the_longest_pause_counts_not_their_time() -> None:
    completed(8000, progress_state=told(9001, longest=30))
    assert shown(running(5000, progress_state=told(80))) == "processing"
    assert shown(running(5000, progress_state=told(100))) == "stalled"


def test_the_pause_before_the_end_is_a_pause() -> None:
    completed(8000, progress_state=told(9200, longest=30))
    assert shown(running(5000, progress_state=told(500))) == "processing"
    assert shown(running(5000, progress_state=told(700))) == "stalled"


def test_a_pause_of_its_own_counts_as_usual() -> None:
    completed(8000, progress_state=told(9001, longest=30))
    assert shown(running(5000, progress_state=told(500, longest=200))) == "processing"


def test_a_short_pause_never_counts() -> None:
    completed(0.1)
    assert shown(running(55)) == "processing"
    assert shown(running(65)) == "stalled"


def test_of_a_new_definition_nothing_is_known_until_it_has_told_enough() -> None:
    assert shown(running(50_000)) == "processing"
    assert shown(running(50_000, progress_state=told(49_000, seq=4))) == "processing"
    assert shown(running(50_000, progress_state=told(49_000, seq=5))) == "stalled"


def test_progress_of_an_earlier_attempt_is_no_progress() -> None:
    completed(100)
    assert shown(running(310, attempt=2, progress_state=told(5, attempt=1))) == "stalled"


def test_only_the_latest_tasks_say_what_is_usual() -> None:
    completed(8000)
    for _ in range(standstill.LATEST):
        completed(10)
    assert shown(running(100)) == "stalled"


def test_a_definition_may_say_so_itself() -> None:
    completed(5000, definition=hasty.module_path)
    completed(1, definition=monk.module_path)
    assert shown(running(4, definition=hasty.module_path)) == "processing"
    assert shown(running(6, definition=hasty.module_path)) == "stalled"
    assert shown(running(5000, definition=monk.module_path)) == "processing"


def test_lost_and_cancelling_come_first_and_the_waiting_are_not_stalled() -> None:
    completed(10)
    lost = running(500, silent_worker=300)
    assert shown(lost) == "lost"
    assert not snapshots(Task.objects.filter(id=lost.id))[0].stalled, "its page says that the worker lives"
    assert shown(running(500, cancel_requested_at=ago(1))) == "cancelling"
    assert shown(make_task(attempted_at=ago(500))) == "pending"


def test_newer_progress_that_moves_ends_the_standstill_and_a_repetition_does_not() -> None:
    completed(10)
    [snapshot] = snapshots(Task.objects.filter(id=running(500, progress_state=told(400)).id))
    assert snapshot.stalled
    now = timezone.now().isoformat()
    same = {"moved_at": snapshot.task.progress_state["metadata"]["moved_at"]}
    assert snapshot.progressed(Stored(attempt=1, seq=10, metadata=same, updated_at=now)).stalled
    assert not snapshot.progressed(Stored(attempt=1, seq=10, metadata={"moved_at": now}, updated_at=now)).stalled


def test_who_tells_the_same_again_and_again_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Stored] = []
    monkeypatch.setattr(store, "publish", lambda _, stored: sent.append(stored) or stored.seq)
    row = running(0)
    meter = TaskProgress(row.id, 1)
    for fraction in (0.1, 0.1, 0.2):
        meter.set(fraction)
        meter.flush()
    first, same, new = (one.moved_at for one in sent)
    assert first == same != new
    row.refresh_from_db()
    assert row.progress_state["metadata"]["moved_at"] == new


def test_what_is_usual_is_asked_for_once_and_only_of_the_silent(django_assert_num_queries: Any) -> None:
    completed(10)
    for _ in range(3):
        running(10)
    with django_assert_num_queries(3):
        snapshots(Task.objects.processing())
    for _ in range(3):
        running(500)
    with django_assert_num_queries(4):
        snapshots(Task.objects.processing())
    with django_assert_num_queries(3):
        assert sum(one.stalled for one in snapshots(Task.objects.processing())) == 3


@pytest.mark.parametrize("junk", [{"attempt": 1, "seq": 9, "updated_at": "gestern"}, {"longest_pause": "x"}, {"a": 1}])
def test_what_somebody_else_has_written_stops_no_page(junk: dict[str, Any]) -> None:
    completed(10, progress_state=junk)
    assert shown(running(50_000, progress_state=junk)) == "stalled"


def test_the_list_and_the_page_say_so(client: Client) -> None:
    completed(10)
    row = running(500)
    make_staff("op", permissions=("view_task", "recover_task"))
    client.login(username="op", password=PASSWORD)
    for address in (
        reverse("admin:taskcenter_task_changelist"),
        reverse("admin:taskcenter_task_change", args=[row.id]),
    ):
        assert 'shown="stalled"' in client.get(address).content.decode()


@pytest.mark.parametrize("wrong", [0, -1, True, "soon", float("nan"), [5]])
def test_an_option_that_cannot_work_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidTask, match="stalled_after must be a number of seconds"):
        task(stalled_after=wrong)(lambda: None)


def test_it_is_no_option_of_one_task() -> None:
    with pytest.raises(InvalidTask, match=r"set it in @task, not in using"):
        hasty.using(stalled_after=9)
