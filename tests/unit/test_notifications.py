"""Notifications: one row per attempt that finished, told to open pages after the commit."""

from __future__ import annotations

import json

import pytest
from django.db import transaction

from taskcenter import notifications
from taskcenter.models import Notification
from taskcenter.states import FINAL, LIVE, State
from taskcenter.wire import notice_channel
from tests.factories import make_notification, make_task, make_user


@pytest.fixture
def published(monkeypatch):
    """What would have gone to Redis: (channel, frame)."""
    sent = []

    class Recorder:
        def pipeline(self, **_options):
            return self

        def publish(self, channel, frame):
            sent.append((channel, json.loads(frame)))

        def execute(self):
            return []

    monkeypatch.setattr(notifications, "try_redis", lambda action: action(Recorder()))
    return sent


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State.COMPLETED, "Sales 2026 is ready"),
        (State.FAILED, "Sales 2026 failed: line 41 has 9 fields, expected 8"),
        (State.CANCELLED, "Sales 2026 was cancelled"),
    ],
)
def test_the_owner_is_told_in_plain_words(state, text, published):
    task = make_task(state, owner=make_user(), title="Sales 2026")
    notifications.record(task)
    row = Notification.objects.get()
    assert (row.text, row.kind, row.recipient, row.attempt) == (text, state, task.owner, task.attempt)


@pytest.mark.django_db
def test_a_long_error_is_cut_to_fit():
    task = make_task(State.FAILED, owner=make_user(), error_message="x" * 2000)
    assert len(notifications.outcome_text(task)) == 255


@pytest.mark.django_db
def test_twice_told_is_once_kept(published):
    task = make_task(State.COMPLETED, owner=make_user())
    notifications.record(task)
    notifications.record(task)
    assert Notification.objects.count() == 1


@pytest.mark.django_db
def test_a_later_attempt_is_told_anew(published):
    task = make_task(State.FAILED, owner=make_user())
    notifications.record(task)
    task.attempt = 2
    notifications.record(task)
    assert Notification.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("state", sorted(LIVE))
def test_nothing_is_told_before_the_end(state):
    notifications.record(make_task(state, owner=make_user()))
    assert not Notification.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("state", sorted(FINAL))
def test_nothing_is_told_when_nobody_asked(state):
    notifications.record(make_task(state))
    assert not Notification.objects.exists()


@pytest.mark.django_db
def test_open_pages_hear_of_it_after_the_commit(published, django_capture_on_commit_callbacks):
    task = make_task(State.COMPLETED, owner=make_user(), title="Sales 2026")
    with django_capture_on_commit_callbacks(execute=True):
        notifications.record(task)
        assert published == []
    row = Notification.objects.get()
    item = {"text": "Sales 2026 is ready", "url": f"/tasks/tasks/{task.pk}/", "id": row.pk}
    assert published == [(notice_channel(task.owner_id), {"unread": 1, "item": item})]


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_finish_tells_nobody(published):
    task = make_task(State.COMPLETED, owner=make_user())
    with transaction.atomic():
        notifications.record(task)
        transaction.set_rollback(True)
    assert published == []
    assert not Notification.objects.exists()


@pytest.mark.django_db
def test_marking_read_counts_down_and_touches_only_ones_own(published, django_capture_on_commit_callbacks):
    ann, bob = make_user(), make_user()
    first, second = (make_notification(make_task(State.COMPLETED, owner=ann)) for _ in range(2))
    other = make_notification(make_task(State.COMPLETED, owner=bob))
    assert notifications.unread_count(ann) == 2
    with django_capture_on_commit_callbacks(execute=True):
        assert notifications.mark_read(ann, [first.pk, other.pk]) == 1
    assert published == [(notice_channel(ann.pk), {"unread": 1, "item": None})]
    assert notifications.mark_read(ann) == 1
    assert notifications.mark_read(ann) == 0
    second.refresh_from_db()
    assert second.read_at is not None
    assert notifications.unread_count(bob) == 1
