"""The dashboard and the pages around it: they move by themselves, and stay readable whatever is down."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from taskcenter import minutes
from taskcenter.models import Duty, FailureGroup
from taskcenter.queues import TaskQueue
from taskcenter.states import State
from tests.factories import make_staff, make_task, make_worker
from tests.ledger.book import Book
from tests.ledger.tasks import boom, hold

from .conftest import Site
from .steps import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

DASHBOARD = "/admin/taskcenter/dashboard/"


@pytest.fixture
def boss(login: Callable[..., None]) -> Any:
    user = make_staff("root", is_superuser=True)
    login(user)
    return user


def tile(page: Page, label: str) -> Any:
    return page.locator(".tc-tile", has_text=label).locator(".tc-tile-value")


def busy_house(owner: Any = None) -> None:
    """A few hours of everything that a dashboard shows."""
    now = timezone.now()
    FailureGroup.objects.create(
        fingerprint="f1", definition="shop.tasks.parse", error_type="builtins.ValueError",
        message="line 41 has 9 fields, expected 8", count=4,
    )  # fmt: skip
    for number in range(90):
        at = now - timedelta(minutes=(number * 37) % 55 + 0.5)
        ran = timedelta(seconds=1 + number % 20)
        state = State.FAILED if number % 18 == 0 else State.COMPLETED
        make_task(
            state, title=f"Order {number}", finished_at=at, attempted_at=at - ran, started_at=at - ran, owner=owner,
            fingerprint="f1" if state == State.FAILED else "", queue=("default", "analysis")[number % 2],
        )  # fmt: skip
    minutes.roll_up()
    up = {"slots": 4, "started_at": now - timedelta(hours=30)}
    one, two = make_worker(**up), make_worker(host="web2", queues=["default", "mail"], **up)
    make_worker(host="db-replica-7.internal.example", silent=400)
    for number in range(5):
        make_task(State.PROCESSING, title=f"Import sales of region {number}.csv", worker=(one, two)[number % 2])
    make_task(State.PROCESSING, title="A lost one", worker=make_worker(host="gone", silent=900))
    for number in range(12):
        make_task(State.PENDING, created_at=now - timedelta(minutes=12 - number), queue="analysis")
    make_task(State.SCHEDULED)
    TaskQueue("default").pause("the disk of the file server is being replaced")
    for name, due in (("dispatch", -5), ("clean-up", 300), ("roll-up", 1)):
        Duty.objects.update_or_create(
            name=name,
            defaults={"next_due": now + timedelta(minutes=due), "last_outcome": "0 recovered, 3 promoted"},
        )


def test_it_moves_by_itself(page: Page, boss: Any, process: Callable[..., Any], tmp_path: Path, console: Any) -> None:
    """Tasks are enqueued, run and fail while somebody only looks."""
    book = Book(tmp_path / "ledger.sqlite3")
    page.goto(DASHBOARD)
    expect(page.get_by_text("No tasks yet.")).to_be_visible()
    expect(page.locator("[data-live=live]")).to_be_visible()
    hold.using(title="A long one").enqueue()
    boom.using(title="A broken one").enqueue("no such column")
    expect(page.get_by_text("No worker listens to default")).to_be_visible(timeout=PATIENCE)
    expect(tile(page, "Waiting")).to_have_text("2", timeout=PATIENCE)
    process("rqworker", "default", "--concurrency", "2", LEDGER_PATH=str(book.path))
    expect(page.locator("[data-region=workers]").get_by_text("A long one")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("[data-region=failures]").get_by_text("no such column")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("No worker listens to default")).to_have_count(0, timeout=PATIENCE)
    expect(tile(page, "Processing")).to_have_text("1", timeout=PATIENCE)
    book.open_gate(1)
    expect(tile(page, "Processing")).to_have_text("0", timeout=PATIENCE)
    expect(tile(page, "Completed/h")).to_have_text("1", timeout=PATIENCE)


def test_the_keyboard_goes_everywhere_and_is_not_lost(page: Page, boss: Any) -> None:
    busy_house()
    page.goto(DASHBOARD)
    page.get_by_role("link", name="The last 24 hours").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("range=24h"))
    expect(page.get_by_role("link", name="The last 24 hours")).to_have_attribute("aria-current", "true")
    shown = page.locator("[data-region=charts] details").first
    shown.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(shown).to_have_attribute("open", "")
    pause = page.get_by_role("link", name="Pause… analysis")
    pause.focus()
    make_task(State.PENDING, queue="analysis")
    expect(tile(page, "Waiting")).to_have_text("13", timeout=PATIENCE)
    expect(pause).to_be_focused()
    expect(shown).to_have_attribute("open", "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pause queues?")).to_be_visible()
    page.get_by_label("Reason").fill("too many at once")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("analysis paused.")).to_be_visible()


def test_updates_can_be_paused_and_stop_in_a_hidden_tab(page: Page, boss: Any) -> None:
    page.goto(DASHBOARD)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/live/" in request.url else None)
    page.get_by_role("button", name="Pause updates").click()
    expect(page.locator("[data-live-words]")).to_contain_text("Paused")
    so_far = len(asked)
    make_task(State.PENDING)
    expect(page.locator("[data-live-words]")).to_contain_text(re.compile(r"[7-9] s ago"), timeout=PATIENCE)
    assert len(asked) == so_far
    page.get_by_role("button", name="Resume updates").click()
    expect(tile(page, "Waiting")).to_have_text("1", timeout=PATIENCE)


def test_it_works_without_a_script(new_context: Callable[..., BrowserContext], login: Callable[..., None]) -> None:
    context = new_context(java_script_enabled=False)
    login(make_staff("root", is_superuser=True), context)
    busy_house()
    page = context.new_page()
    page.goto(DASHBOARD)
    expect(tile(page, "Waiting")).to_have_text("12")
    expect(page.get_by_role("button", name="Pause updates")).to_have_count(0)
    page.locator("summary", has_text="Show as table").first.click()
    expect(page.get_by_role("cell").first).to_be_visible()
    page.get_by_role("link", name="Refresh").click()
    expect(tile(page, "Waiting")).to_have_text("12")


@pytest.fixture
def lonely_site(django_db_setup: None, valkey: Any, chromium: str, tmp_path: Path) -> Iterator[Site]:
    """A site with a Redis of its own, which may be killed."""
    site = Site(tmp_path / "lonely.log", REDIS_URL=valkey.url)
    yield site
    site.kill9()


def test_redis_is_killed_and_the_page_is_whole(
    page: Page, lonely_site: Site, valkey: Any, login: Callable[..., None]
) -> None:
    login(make_staff("root", is_superuser=True))
    make_task(State.PROCESSING, title="A long one", worker=make_worker())
    address = f"{lonely_site.url}{DASHBOARD}"
    page.goto(address)
    expect(page.get_by_text("A long one")).to_be_visible()
    expect(page.get_by_text("Queue server unreachable")).to_have_count(0)
    valkey.stop()
    since = re.compile(r"Queue server unreachable since \d\d:\d\d:\d\d")
    expect(page.get_by_text(since)).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("A long one")).to_be_visible()
    page.goto(address)
    expect(page.get_by_text("Queue server unreachable")).to_be_visible()
    expect(page.get_by_text("Redis queues: unreachable")).to_be_visible()
    make_task(State.PENDING)
    expect(tile(page, "Waiting")).to_have_text("1", timeout=PATIENCE)


def test_the_site_goes_away_and_comes_back(page: Page, boss: Any, asgi_server: Site, console: Any) -> None:
    console.allow("ERR_CONNECTION_REFUSED")
    make_task(State.PENDING)
    page.goto(DASHBOARD)
    expect(page.locator("[data-live=live]")).to_be_visible()
    asgi_server.kill9()
    expect(page.locator("[data-live-words]")).to_contain_text("does not answer", timeout=PATIENCE)
    expect(tile(page, "Waiting")).to_have_text("1")
    make_task(State.PENDING)
    asgi_server.start()
    expect(tile(page, "Waiting")).to_have_text("2", timeout=PATIENCE)
    expect(page.locator("[data-live=live]")).to_be_visible()
