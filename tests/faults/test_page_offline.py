"""A page is away for ten minutes, in which everything happens to its tasks, and Redis forgets what it knew."""

from __future__ import annotations

from django.utils import timezone

from taskcenter import lifecycle
from taskcenter.models import Task
from tests.factories import make_event, make_report, make_task, make_user
from tests.faults.pages import Page, Readers, assert_true, watching
from tests.faults.stack import Stack, require_fired, wait_until

MANY = 450
"""Lines of history told meanwhile: more than two frames hold."""


def go_away(readers: Readers, page: Page) -> None:
    """The network is gone: the server hears nothing, and the page cannot come back."""
    readers.site.process.kill9()
    wait_until(lambda: page.line is None, "the page is alone")


def test_whatever_happened_meanwhile_is_there_afterwards(stack: Stack) -> None:
    ended, failed, again, gone, hidden, same = (
        str(make_task(state, owner=stack.owner).id)
        for state in ("processing", "processing", "failed", "pending", "processing", "pending")
    )
    ids = (ended, failed, again, gone, hidden, same)
    with watching(stack) as readers:
        page = readers.open(stack.owner, *ids)
        require_fired(set(page.known) == set(ids), "the page never knew them")
        go_away(readers, page)

        now = timezone.now()
        Task.objects.filter(id=ended).update(state="completed", rev=3, progress=1, finished_at=now)
        make_report(Task.objects.get(id=ended))
        Task.objects.filter(id=failed).update(
            state="failed", rev=2, error_type="E", error_message="no", finished_at=now
        )
        assert lifecycle.retry(Task.objects.get(id=again).id, actor=stack.owner)
        Task.objects.filter(id=gone).delete()
        Task.objects.filter(id=hidden).update(owner=make_user())
        for number in range(MANY):
            make_event(Task.objects.get(id=ended), text=f"line {number}")
        with stack.redis() as client:
            client.flushall()

        readers.site.start()
        wait_until(lambda: page.opened == 2, "the page is back")
        wait_until(lambda: len(page.lines) >= MANY, "all lines came")
        assert_true(page, ended, failed, again, same)
        assert page.denied == {gone, hidden}
        assert page.known[ended]["report_url"]
        assert page.known[failed]["error"] == {"type": "E", "message": "no"}
        assert page.lines == sorted(set(page.lines)), "each line once, in order"
