"""The socket, spoken to as a browser does, with a real Valkey behind it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.core import signing
from django.test import Client

from taskcenter import passes
from taskcenter.consumers import TaskConsumer, history, messages, websocket_urlpatterns
from taskcenter.consumers.following import Following
from taskcenter.context import TaskContext
from taskcenter.models import Task
from taskcenter.notifications import announce_unread
from taskcenter.passes import make_pass, task_of
from taskcenter.progress import TaskProgress, announce, announce_line
from taskcenter.relay import board, readings
from taskcenter.states import State
from tests.factories import make_event, make_notification, make_report, make_task, make_user
from tests.live import auntil, no_redis, own_valkey  # noqa: F401 fixtures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers import ValkeyServer

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 10
amake_task, amake_user = sync_to_async(make_task), sync_to_async(make_user)


class Page:
    """An open page of that user."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self.communicator = communicator

    async def say(self, kind: str, **fields: Any) -> None:
        await self.communicator.send_to(text_data=json.dumps({"type": kind, **fields}))

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame of that kind; others before it are skipped."""
        while True:
            frame: dict[str, Any] = await self.communicator.receive_json_from(PATIENCE)
            if frame["type"] == kind:
                return frame

    async def follow(self, *tasks: Any, **fields: Any) -> dict[str, Any]:
        asked = [{"id": str(getattr(task, "id", task)), **fields} for task in tasks]
        await self.say("subscribe", tasks=asked)
        return await self.hear("snapshot")

    async def hear_of(self, task: Task, **expected: Any) -> dict[str, Any]:
        """The first update in which the task looks like that."""
        while True:
            for frame in (await self.hear("update"))["tasks"]:
                if frame["id"] == str(task.id) and expected.items() <= frame.items():
                    return frame  # type: ignore[no-any-return]

    async def closing(self) -> tuple[int, int]:
        """The code of the bye frame, and of the close after it."""
        bye = await self.hear("bye")
        message = await self.communicator.receive_output(PATIENCE)
        assert message["type"] == "websocket.close"
        return bye["code"], message["code"]

    async def follow_history(self, task: Any, after: int = 0) -> None:
        await self.say("subscribe", tasks=[{"id": str(task.id)}], events={"id": str(task.id), "after": after})
        await self.hear("snapshot")

    async def hear_lines(self, count: int) -> list[dict[str, Any]]:
        """So many lines of history, over as many frames as they come in."""
        lines: list[dict[str, Any]] = []
        while len(lines) < count:
            lines += (await self.hear("events"))["items"]
        return lines


@asynccontextmanager
async def page(user: Any, **scope: Any) -> AsyncIterator[Page]:
    communicator = WebsocketCommunicator(TaskConsumer.as_asgi(), "/ws/taskcenter/")
    communicator.scope.update(user=user, **scope)
    connected, _ = await communicator.connect(timeout=PATIENCE)
    assert connected
    yield Page(communicator)
    await communicator.disconnect(timeout=PATIENCE)


@pytest.fixture(autouse=True)
async def nothing_is_left(own_valkey: ValkeyServer) -> AsyncIterator[None]:  # noqa: F811 the fixture
    """Every test ends with no relay, no task and no subscription."""
    yield
    await auntil(lambda: len(asyncio.all_tasks()) <= 1)
    assert asyncio.get_running_loop() not in board._relays


def untitled(user: Any, queryset: Any) -> Any:
    """A rule of a site's own."""
    return queryset.filter(title="")


def move(task: Task, state: str, **fields: Any) -> None:
    values = {"finished_at": task.created_at} if state == State.COMPLETED else {}
    task.rev += 1
    Task.objects.filter(id=task.id).update(state=state, rev=task.rev, **values, **fields)


async def test_hello_says_who_and_what_the_limits_are() -> None:
    user = await amake_user()
    async with page(user) as open_page:
        hello = await open_page.hear("hello")
        assert (hello["v"], hello["heartbeat"], hello["max"], hello["user"]) == (1, 20, 200, str(user.pk))


async def test_snapshot_first_then_every_change() -> None:
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user, title="Sales")
    async with page(user) as open_page:
        answer = await open_page.follow(task)
        assert (answer["same"], answer["denied"]) == ([], [])
        assert [(one["title"], one["state"], one["progress"]) for one in answer["tasks"]] == [
            ("Sales", "processing", None)
        ]
        await sync_to_async(TaskProgress(task.id, 1).set)(0.5, "reading")
        frame = await open_page.hear_of(task, progress=0.5)
        assert (frame["message"], frame["can"], frame["title"]) == ("reading", ["cancel"], "Sales")
        await sync_to_async(make_report)(task)
        await sync_to_async(move)(task, State.COMPLETED)
        await sync_to_async(announce)(task.id, task.rev)
        done = await open_page.hear_of(task, final=True)
        assert (done["state"], done["progress"]) == ("completed", 1.0)
        assert "/reports/" in done["report_url"]


async def test_somebody_elses_task_looks_like_one_that_does_not_exist() -> None:
    ann, ben = await amake_user(), await amake_user()
    hers, his = await amake_task(State.PROCESSING, owner=ann), await amake_task(State.PROCESSING, owner=ben)
    nowhere = str(uuid4())
    async with page(ben) as open_page:
        answer = await open_page.follow(hers, nowhere, "no id", str(uuid4()).upper(), his)
        assert [one["id"] for one in answer["tasks"]] == [str(his.id)]
        assert answer["denied"][:3] == [str(hers.id), nowhere, "no id"]
        await sync_to_async(TaskProgress(hers.id, 1).stage)("secret")
        await sync_to_async(announce)(hers.id, 9)
        await sync_to_async(TaskProgress(his.id, 1).stage)("mine")
        assert [one["id"] for one in (await open_page.hear("update"))["tasks"]] == [str(his.id)]


async def test_an_operator_may_follow_but_not_cancel() -> None:
    owner, operator = await amake_user(), await amake_user(permissions=("view_task",))
    task = await amake_task(State.PROCESSING, owner=owner)
    async with page(operator) as open_page:
        assert (await open_page.follow(task))["tasks"][0]["can"] == []


async def test_what_the_page_knows_already_is_not_sent_again() -> None:
    user = await amake_user()
    waiting = await amake_task(owner=user)
    running = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        answer = await open_page.follow(waiting, running, rev=1)
        # Of a running task the progress may have moved, whatever its rev says.
        assert answer["same"] == [str(waiting.id)]
        assert [one["id"] for one in answer["tasks"]] == [str(running.id)]


async def test_a_burst_of_progress_becomes_few_frames_and_the_last_word_arrives(settings: Any) -> None:
    settings.TASKCENTER = {"PROGRESS_PER_SECOND": 1000}
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        await open_page.follow(task)

        def work() -> None:
            meter = TaskProgress(task.id, 1)
            for step in range(101):
                meter.stage(str(step), step / 100)

        await sync_to_async(work)()
        frames = [await open_page.hear("update")]
        while frames[-1]["tasks"][0]["progress"] < 1:
            frames.append(await open_page.hear("update"))
        assert len(frames) < 10


async def test_the_final_state_arrives_though_its_hint_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "LOOK_AGAIN", 0.2)
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        await open_page.follow(task)
        await sync_to_async(move)(task, State.COMPLETED)
        await open_page.hear_of(task, state="completed")


async def test_looking_again_says_nothing_when_nothing_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.02)
    monkeypatch.setattr(readings, "LOOK_AGAIN", 0.02)
    user = await amake_user()
    task = await amake_task(owner=user)
    async with page(user) as open_page:
        await open_page.follow(task)
        await open_page.hear("notice")
        assert await open_page.communicator.receive_nothing(timeout=0.3)


async def test_a_task_that_is_no_longer_visible_is_denied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.2)
    user, other = await amake_user(), await amake_user()
    task = await amake_task(owner=user)
    async with page(user) as open_page:
        await open_page.follow(task)
        await Task.objects.filter(id=task.id).aupdate(owner=other)
        assert (await open_page.hear("snapshot"))["denied"] == [str(task.id)]


async def test_redis_killed_mid_way_the_bar_moves_on_and_the_end_arrives(
    own_valkey: ValkeyServer,  # noqa: F811 the fixture
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "BLIND", 0.2)
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        await open_page.follow(task)
        own_valkey.kill9()
        meter = TaskProgress(task.id, 1)
        await sync_to_async(meter.set)(0.5, "reading")
        await sync_to_async(meter.flush)()
        await open_page.hear_of(task, progress=0.5)
        await asyncio.to_thread(own_valkey.restart)
        await sync_to_async(move)(task, State.COMPLETED)
        await open_page.hear_of(task, state="completed")


async def test_what_happens_between_joining_and_reading_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    look = Following.look

    async def slow_look(self: Following, keys: Any) -> Any:
        found = await look(self, keys)
        await sync_to_async(move)(task, State.COMPLETED)
        await sync_to_async(announce)(task.id, task.rev)
        # The relay has it before the page has its snapshot.
        inbox = next(iter(board.relay()._inboxes))
        await auntil(lambda: inbox._changed)
        return found

    monkeypatch.setattr(Following, "look", slow_look)
    async with page(user) as open_page:
        assert (await open_page.follow(task))["tasks"][0]["state"] == "processing"
        await open_page.hear_of(task, state="completed")


async def test_unsubscribed_tasks_are_told_no_more() -> None:
    user = await amake_user()
    one, two = await amake_task(State.PROCESSING, owner=user), await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        await open_page.follow(one, two)
        await open_page.say("unsubscribe", ids=[str(one.id)])
        await open_page.say("ping", n=1)
        await open_page.hear("pong")
        await sync_to_async(TaskProgress(one.id, 1).stage)("x")
        await sync_to_async(TaskProgress(two.id, 1).stage)("y")
        assert [frame["id"] for frame in (await open_page.hear("update"))["tasks"]] == [str(two.id)]


async def test_notices_reach_only_their_person() -> None:
    ann, ben = await amake_user(), await amake_user()
    task = await amake_task(State.COMPLETED, owner=ann)
    await sync_to_async(make_notification)(task)
    async with page(ann) as hers, page(ben) as his:
        for one in (hers, his):
            await one.follow()
        assert (await hers.hear("notice"))["unread"] == 1
        assert (await his.hear("notice"))["unread"] == 0
        await sync_to_async(announce_unread)(ann.pk, {"id": 1, "text": "Sales is ready", "url": "/x"})
        notice = await hers.hear("notice")
        assert (notice["unread"], notice["item"]["text"]) == (1, "Sales is ready")
        assert await his.communicator.receive_nothing(timeout=0.2)


async def test_ping_is_answered_and_unknown_types_and_fields_are_ignored() -> None:
    user = await amake_user()
    async with page(user) as open_page:
        await open_page.say("dance", with_="me")
        await open_page.say("subscribe", tasks=[], token="y", more={"x": 1})
        await open_page.say("ping", n=7)
        assert (await open_page.hear("pong"))["n"] == 7


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        '"x"',
        "{}",
        '{"type": 3}',
        '{"type": "subscribe", "tasks": {}}',
        '{"type": "subscribe", "tasks": ["x"]}',
        '{"type": "subscribe", "tasks": [{"id": 7}]}',
        '{"type": "subscribe", "events": "x"}',
        '{"type": "subscribe", "events": {"id": "x", "after": -1}}',
        '{"type": "subscribe", "events": {"id": "x", "after": 99999999999}}',
        '{"type": "unsubscribe"}',
        '{"type": "ping", "x": "' + "y" * messages.MAX_FRAME + '"}',
        "[" * 60_000,
    ],
)
async def test_bad_frames_close_with_4400(text: str) -> None:
    async with page(await amake_user()) as open_page:
        await open_page.communicator.send_to(text_data=text)
        assert await open_page.closing() == (4400, 4400)


async def test_bytes_close_with_4400() -> None:
    async with page(await amake_user()) as open_page:
        await open_page.communicator.send_to(bytes_data=b"\x00")
        assert await open_page.closing() == (4400, 4400)


@pytest.mark.parametrize("in_steps", [False, True])
async def test_201_tasks_close_with_4429_and_200_do_not(in_steps: bool) -> None:
    user = await amake_user()
    tasks = await sync_to_async(Task.objects.bulk_create)([Task(definition="x", owner=user) for _ in range(201)])
    async with page(user) as open_page:
        assert len((await open_page.follow(*tasks[:200]))["tasks"]) == 200
        await open_page.say("subscribe", tasks=[{"id": str(one.id)} for one in (tasks[200:] if in_steps else tasks)])
        assert await open_page.closing() == (4429, 4429)


async def test_too_many_frames_close_with_4429(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "FRAME_WINDOW", 1000)
    async with page(await amake_user()) as open_page:
        for _ in range(messages.MAX_FRAMES + 1):
            await open_page.say("ping", n=1)
        assert await open_page.closing() == (4429, 4429)


async def test_a_page_that_never_subscribes_is_closed_with_4408(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "FIRST_WORD", 0.1)
    async with page(await amake_user()) as open_page:
        assert await open_page.closing() == (4408, 4408)


async def test_nobody_in_particular_is_told_to_sign_in() -> None:
    task = await amake_task(State.PROCESSING)
    async with page(AnonymousUser()) as open_page:
        assert (await open_page.hear("hello"))["user"] is None
        await open_page.say("subscribe", tasks=[{"id": str(task.id)}])
        assert await open_page.closing() == (4401, 4401)


async def test_a_deactivated_account_is_closed_with_4403(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.05)
    monkeypatch.setattr(TaskConsumer, "CHECK_SESSION", 0.05)
    user = await amake_user()
    async with page(user) as open_page:
        await open_page.follow()
        await type(user).objects.filter(pk=user.pk).aupdate(is_active=False)
        assert await open_page.closing() == (4403, 4403)


async def test_signing_out_elsewhere_closes_with_4401(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.05)
    monkeypatch.setattr(TaskConsumer, "CHECK_SESSION", 0.05)
    user = await amake_user()
    browser = Client()
    await sync_to_async(browser.force_login)(user)
    cookie = f"sessionid={browser.cookies['sessionid'].value}".encode()
    application = AuthMiddlewareStack(URLRouter(websocket_urlpatterns))
    communicator = WebsocketCommunicator(application, "/ws/taskcenter/", headers=[(b"cookie", cookie)])
    assert (await communicator.connect(timeout=PATIENCE))[0]
    open_page = Page(communicator)
    assert (await open_page.hear("hello"))["user"] == str(user.pk)
    await open_page.follow()
    await open_page.hear("notice")
    assert await communicator.receive_nothing(timeout=0.3)
    await sync_to_async(browser.logout)()
    assert await open_page.closing() == (4401, 4401)
    await communicator.disconnect(timeout=PATIENCE)


async def test_a_page_that_has_gone_is_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    refused = asyncio.Event()

    async def gone(*_: Any, **__: Any) -> None:
        refused.set()
        raise ConnectionResetError

    async with page(user) as open_page:
        await open_page.follow(task)
        await open_page.hear("notice")
        monkeypatch.setattr(TaskConsumer, "send", gone)
        await sync_to_async(TaskProgress(task.id, 1).stage)("x")
        await asyncio.wait_for(refused.wait(), PATIENCE)
    assert "stumbled" not in caplog.text


@pytest.mark.usefixtures("no_redis")
async def test_without_redis_a_page_still_gets_its_snapshot_and_the_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readings, "BLIND", 0.1)
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        assert len((await open_page.follow(task))["tasks"]) == 1
        await sync_to_async(move)(task, State.COMPLETED)
        await open_page.hear_of(task, state="completed")


# A task that is hidden now.


async def test_news_of_a_row_go_only_to_those_who_may_still_see_it() -> None:
    user, other = await amake_user(), await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        await open_page.follow(task)
        await open_page.hear("notice")
        await sync_to_async(move)(task, State.COMPLETED, owner=other)
        await sync_to_async(announce)(task.id, task.rev)
        # The very next frame: nothing of the new state comes before it.
        frame = await open_page.communicator.receive_json_from(PATIENCE)
        assert (frame["type"], frame["denied"]) == ("snapshot", [str(task.id)])
        assert board.relay()._tasks() == set(), "nobody watches it any more"


async def test_a_permission_taken_away_is_noticed_with_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.05)
    monkeypatch.setattr(TaskConsumer, "CHECK_SESSION", 0.05)
    operator = await amake_user(permissions=("view_task",))
    task = await amake_task(State.PROCESSING, owner=await amake_user())
    async with page(operator) as open_page:
        assert len((await open_page.follow(task))["tasks"]) == 1
        await operator.user_permissions.aclear()
        assert (await open_page.hear("snapshot"))["denied"] == [str(task.id)]


async def test_a_sites_own_rule_is_asked_before_a_new_state_is_told(settings: Any) -> None:
    settings.TASKCENTER = {"VISIBLE": f"{__name__}.untitled"}
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        assert len((await open_page.follow(task))["tasks"]) == 1
        await open_page.hear("notice")
        await sync_to_async(move)(task, State.COMPLETED, title="hidden")
        await sync_to_async(announce)(task.id, task.rev)
        frame = await open_page.communicator.receive_json_from(PATIENCE)
        assert (frame["type"], frame["denied"]) == ("snapshot", [str(task.id)])


async def test_rights_are_the_same_after_a_look_at_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.05)
    monkeypatch.setattr(TaskConsumer, "CHECK_SESSION", 0.05)
    looks: list[Any] = []
    becomes = Following.becomes

    async def counted(self: Following, user: Any) -> None:
        await becomes(self, user)
        looks.append(user)

    monkeypatch.setattr(Following, "becomes", counted)
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        await open_page.follow(task)
        await auntil(lambda: len(looks) > 2)
        await sync_to_async(TaskProgress(task.id, 1).set)(0.5)
        assert (await open_page.hear_of(task, progress=0.5))["can"] == ["cancel"]


# History.


async def test_history_comes_in_order_from_where_the_page_is_and_then_live() -> None:
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    tell = sync_to_async(make_event)
    for number in range(1, 6):
        await tell(task, text=f"line {number}", level="warning")
    async with page(user) as open_page:
        await open_page.follow_history(task, after=2)
        lines = await open_page.hear_lines(3)
        assert [(one["seq"], one["text"]) for one in lines] == [(3, "line 3"), (4, "line 4"), (5, "line 5")]
        assert (lines[0]["kind"], lines[0]["word"], lines[0]["level"]) == ("log", "Log", "warning")
        await tell(task, text="line 6")
        await sync_to_async(announce_line)(task.id)
        assert [one["seq"] for one in await open_page.hear_lines(1)] == [6]
        # What a move of the task has to say comes with the move.
        await tell(task, "cancelled", "Stopped as asked.")
        await sync_to_async(move)(task, State.COMPLETED)
        await sync_to_async(announce)(task.id, task.rev)
        assert [one["kind"] for one in await open_page.hear_lines(1)] == ["cancelled"]


async def test_what_a_task_logs_is_there_at_once() -> None:
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    async with page(user) as open_page:
        await open_page.follow_history(task)
        log = partial(TaskContext.log, SimpleNamespace(row=task, attempt=1))
        await sync_to_async(log)("half of it is read", rows=500)  # type: ignore[arg-type]
        assert [one["text"] for one in await open_page.hear_lines(1)] == ["half of it is read"]


async def test_a_long_history_comes_in_parts_and_nothing_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 4)
    monkeypatch.setattr(TaskConsumer, "UPDATE_GAP", 0.01)
    user = await amake_user()
    task = await amake_task(owner=user)
    for _ in range(10):
        await sync_to_async(make_event)(task, text="x" * 2000)
    async with page(user) as open_page:
        await open_page.follow_history(task)
        frames = [await open_page.hear("events") for _ in range(3)]
        assert [len(frame["items"]) for frame in frames] == [4, 4, 2]
        assert [frame["more"] for frame in frames] == [True, True, False]
        assert [line["seq"] for frame in frames for line in frame["items"]] == [*range(1, 11)]
        assert len(frames[0]["items"][0]["text"]) == history.TEXT_LIMIT


async def test_a_line_whose_hint_was_lost_comes_with_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.1)
    user = await amake_user()
    task = await amake_task(owner=user)
    async with page(user) as open_page:
        await open_page.follow_history(task)
        await sync_to_async(make_event)(task, text="unheard")
        assert (await open_page.hear_lines(1))[0]["text"] == "unheard"


async def test_the_history_of_somebody_elses_task_is_denied() -> None:
    user = await amake_user()
    hers = await amake_task(owner=await amake_user())
    await sync_to_async(make_event)(hers, text="secret")
    async with page(user) as open_page:
        await open_page.follow_history(hers)
        answer = await open_page.hear("events")
        assert (answer["items"], answer["denied"]) == ([], True)


async def test_an_unsubscribed_task_has_no_history_any_more() -> None:
    user = await amake_user()
    task = await amake_task(owner=user)
    async with page(user) as open_page:
        await open_page.follow_history(task)
        await open_page.say("unsubscribe", ids=[str(task.id)])
        await open_page.say("ping", n=1)
        await open_page.hear("pong")
        await sync_to_async(make_event)(task)
        await sync_to_async(announce_line)(task.id)
        assert await open_page.communicator.receive_nothing(timeout=0.3)


# Passes.


async def test_a_pass_opens_its_task_to_look_at_and_nothing_else() -> None:
    owner = await amake_user()
    task, other = [await amake_task(State.PROCESSING, owner=owner) for _ in range(2)]
    await sync_to_async(make_event)(task, text="what the owner's log says")
    async with page(AnonymousUser()) as open_page:
        pass_ = make_pass(task)
        asked = [{"id": str(one.id), "token": pass_} for one in (task, other)]
        await open_page.say("subscribe", tasks=asked, events={"id": str(task.id)})
        answer = await open_page.hear("snapshot")
        assert [(one["id"], one["can"], one["url"]) for one in answer["tasks"]] == [(str(task.id), [], None)]
        assert answer["denied"] == [str(other.id)]
        assert (await open_page.hear("events"))["denied"]
        await sync_to_async(TaskProgress(task.id, 1).set)(0.5)
        assert (await open_page.hear_of(task, progress=0.5))["can"] == []
        await sync_to_async(make_report)(task)
        await sync_to_async(move)(task, State.COMPLETED)
        await sync_to_async(announce)(task.id, task.rev)
        assert (await open_page.hear_of(task, final=True))["report_url"] is None
        # The first word was good; a later one without a pass is only denied.
        assert (await open_page.follow(other))["denied"] == [str(other.id)]


async def test_who_sees_a_task_by_right_needs_no_pass_and_keeps_their_rights() -> None:
    owner = await amake_user()
    task = await amake_task(State.PROCESSING, owner=owner)
    async with page(owner) as open_page:
        assert (await open_page.follow(task, token=make_pass(task)))["tasks"][0]["can"] == ["cancel"]


@pytest.mark.parametrize("spoil", [str.upper, lambda text: text[:-1], lambda _: "", lambda text: f"x{text}"])
async def test_a_spoilt_pass_opens_nothing(spoil: Any) -> None:
    task = await amake_task(State.PROCESSING)
    async with page(AnonymousUser()) as open_page:
        await open_page.say("subscribe", tasks=[{"id": str(task.id), "token": spoil(make_pass(task))}])
        assert await open_page.closing() == (4401, 4401)


async def test_a_pass_that_ran_out_ends_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "LOOK_AGAIN", 0.1)
    task = await amake_task(State.PROCESSING)
    async with page(AnonymousUser()) as open_page:
        await open_page.follow(task, token=make_pass(task))
        monkeypatch.setattr(passes, "LIFETIME", -1)
        assert (await open_page.hear("snapshot"))["denied"] == [str(task.id)]


def test_a_pass_is_for_looking_and_signed_for_nothing_else() -> None:
    task_id = uuid4()
    assert task_of(make_pass(task_id)) == task_id
    for other in (signing.dumps([str(task_id), "view"]), signing.dumps([str(task_id), "edit"], salt=passes.SALT)):
        assert task_of(other) is None
    assert task_of(signing.dumps({"x": 1}, salt=passes.SALT)) is None


# A page that does not read.


async def test_a_page_that_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskConsumer, "STUCK", 0.1)
    user = await amake_user()
    task = await amake_task(State.PROCESSING, owner=user)
    stuck = asyncio.Event()

    async def never(*_: Any, **__: Any) -> None:
        stuck.set()
        await asyncio.Event().wait()

    communicator = WebsocketCommunicator(TaskConsumer.as_asgi(), "/ws/taskcenter/")
    communicator.scope["user"] = user
    await communicator.connect(timeout=PATIENCE)
    open_page = Page(communicator)
    await open_page.follow(task)
    await open_page.hear("notice")
    monkeypatch.setattr(TaskConsumer, "send", never)
    await sync_to_async(TaskProgress(task.id, 1).stage)("x")
    await asyncio.wait_for(stuck.wait(), PATIENCE)
    # Not communicator.wait(), which ends what does not end by itself.
    await auntil(communicator.future.done)
    assert not board._relays, "it is watched no more"
