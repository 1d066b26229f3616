"""The widget on a host's page, before a server that says what the test wants."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from .host import Line, count_events, frame, show
from .steps import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

ONE = "{% task_progress one %}"
CANCEL = re.compile("/cancel/$")


def part(page: Page, name: str) -> Locator:
    return page.locator(f'task-progress [data-part="{name}"]').first


def follow(page: Page, body: str = ONE, **fields: Any) -> tuple[Line, dict[str, Any]]:
    """A page that follows one task over a live line."""
    one = frame(**fields)
    line = Line(page, [one])
    show(page, body, one=one, csrf_token="t")
    expect(page.locator("task-progress").first).to_have_attribute("data-conn", "live")
    return line, one


def hide(page: Page, hidden: bool) -> None:
    page.evaluate(
        """hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
                       document.dispatchEvent(new Event('visibilitychange')); }""",
        hidden,
    )


def test_frames_move_the_bar_and_tell_the_page(page: Page, console: Any) -> None:
    line, _ = follow(page, progress=0.1, title="Orders")
    heard = count_events(page, "task:progress", "task:state", "task:finished")
    now = datetime.now(UTC).isoformat()
    line.tell(
        progress=0.62, message="<b>row</b> 620", done=620, total=1000, unit="rows", rate=25, eta_s=27, updated_at=now
    )
    expect(part(page, "percent")).to_have_text("62%")
    expect(part(page, "message")).to_have_text("<b>row</b> 620")
    expect(part(page, "count")).to_have_text("620 of 1,000 rows · 25 rows/s")
    expect(part(page, "eta")).to_have_text("about 25 s left")
    bar = page.get_by_role("progressbar", name="Orders")
    expect(bar).to_have_attribute("aria-valuetext", "62 percent, 620 of 1,000 rows, about 25 seconds left")
    line.tell(rev=2, state="completed", shown="completed", final=True, can=[], eta_s=None, rate=None)
    expect(page.locator("task-progress")).to_have_attribute("state", "completed")
    expect(bar).to_have_js_property("value", 1)
    expect(part(page, "cancel")).to_be_hidden()
    expect(part(page, "eta")).to_have_text("")
    assert heard() == [
        "task:progress processing true", "task:progress completed true", "task:state completed true",
        "task:finished completed true",
    ]  # fmt: skip


def test_nothing_moves_when_texts_come_and_go(page: Page) -> None:
    """Below the widget nothing jumps, whatever it says."""
    line, _ = follow(page)
    widget = page.locator("task-progress")
    long = "a message that is longer than any line of any page could ever be, " * 3
    steps: list[dict[str, Any]] = [
        {"message": "one"}, {"message": long}, {"message": ""}, {"done": 1, "total": 9, "progress": 0.1},
        {"rate": 3, "eta_s": 90}, {"eta_s": None, "rate": None, "message": "two"}, {"shown": "stalled", "can": []},
        {"rev": 2, "state": "completed", "shown": "completed", "final": True, "message": "", "done": None},
    ]  # fmt: skip
    heights = set()
    for seq, step in enumerate(steps, 2):
        line.tell(**step)
        expect(widget).to_have_attribute("seq", str(seq))
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 800})
            heights.add(round(widget.evaluate("one => one.getBoundingClientRect().height")))
    assert len(heights) == 1, heights


def test_time_left_counts_down_and_silence_is_told(page: Page) -> None:
    page.clock.install()
    line, _ = follow(page, progress=0.5, eta_s=70)
    expect(part(page, "eta")).to_have_text("about 1 min left")
    page.clock.run_for(16_000)
    expect(part(page, "eta")).to_have_text(re.compile("about (45|50|55) s left"))
    page.clock.run_for(28_000)
    expect(part(page, "eta")).to_have_text(re.compile("no news for [45]0 s"))
    # The worker's clock is behind; its message is news all the same.
    line.tell(progress=0.6, eta_s=600, updated_at="2020-01-01T00:00:00+00:00")
    expect(part(page, "eta")).to_have_text("about 10 min left")


@pytest.mark.parametrize(
    ("code", "conn", "said"),
    [(4401, "denied", "Sign in to follow this task"), (4403, "denied", "Sign in to follow this task"),
     (4429, "polling", "updates every few seconds"), (1012, "live", "live")],
)  # fmt: skip
def test_what_a_close_code_asks_for(page: Page, code: int, conn: str, said: str) -> None:
    line, _ = follow(page, progress=0.5)
    page.route(
        "**/tasks/state/**", lambda route: route.fulfill(json={"tasks": list(line.frames.values()), "denied": []})
    )
    line.close(code)
    widget = page.locator("task-progress")
    if conn == "live":
        expect(widget).to_have_attribute("data-conn", "reconnecting")
    expect(widget).to_have_attribute("data-conn", conn, timeout=PATIENCE)
    expect(part(page, "conn")).to_have_text(said)
    assert len(line.sockets) == (2 if conn == "live" else 1)


def test_a_task_that_is_not_there_is_denied(page: Page) -> None:
    Line(page)
    show(page, ONE, one=frame(), csrf_token="t")
    expect(page.locator("task-progress")).to_have_attribute("data-conn", "denied")
    expect(part(page, "conn")).to_have_text("This task cannot be followed")


def test_a_pass_goes_with_the_subscription_and_a_new_one_opens_again(page: Page) -> None:
    line = Line(page)
    one = frame(progress=0.5)
    show(page, "{% task_progress one token='first' %}", one=one)
    widget = page.locator("task-progress")
    expect(widget).to_have_attribute("data-conn", "denied")
    line.frames[one["id"]] = {**one, "seq": 2, "progress": 0.75}
    widget.evaluate("one => one.setAttribute('token', 'second')")
    expect(part(page, "percent")).to_have_text("75%")
    expect(widget).to_have_attribute("data-conn", "live")
    assert [asked["token"] for asked in line.subscribed()] == ["first", "second"]


def test_a_pass_goes_in_a_header_when_polling(page: Page, block_sockets: Callable[[Page], None]) -> None:
    block_sockets(page)
    one, asked = frame(progress=0.5), []

    def answer(route: Route) -> None:
        asked.append(route.request)
        route.fulfill(json={"tasks": [{**one, "seq": 2, "progress": 0.75}], "denied": [], "next": 1})

    page.route("**/tasks/state/**", answer)
    show(page, "{% task_progress one token='secret' %}", one=one)
    expect(part(page, "percent")).to_have_text("75%", timeout=PATIENCE)
    assert asked[0].headers["x-task-token"] == "secret"
    assert "secret" not in asked[0].url


def test_a_page_put_away_lets_go_of_its_line_and_takes_it_up_again(page: Page) -> None:
    line, one = follow(page, progress=0.5)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    one.update(seq=9, progress=0.9)
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(part(page, "percent")).to_have_text("90%")
    assert len(line.sockets) == 2
    assert line.subscribed()[-1] == {"id": one["id"], "rev": 1, "attempt": 1, "seq": 1}


def test_a_page_hidden_for_long_lets_go_until_it_is_seen(page: Page) -> None:
    page.clock.install()
    line, one = follow(page, progress=0.5)
    closed: list[int | None] = []
    line.sockets[0].on_close(lambda code, _reason: closed.append(code))
    hide(page, True)
    page.clock.fast_forward(601_000)
    one.update(seq=9, progress=0.9)
    hide(page, False)
    page.clock.run_for(100)
    expect(part(page, "percent")).to_have_text("90%")
    assert closed


def test_two_widgets_of_one_task_share_a_subscription_and_speak_once(page: Page) -> None:
    line, _ = follow(page, body=ONE + ONE, progress=0.1, title="Orders")
    line.tell(rev=2, state="failed", shown="failed", final=True, error={"type": "", "message": "no such column"})
    for at in (0, 1):
        expect(page.locator("task-progress").nth(at)).to_have_attribute("state", "failed")
    expect(page.get_by_role("status")).to_have_text("Orders: failed")
    assert len(line.subscribed()) == 1
    assert len(line.sockets) == 1


def test_a_list_says_endings_in_one_breath(page: Page) -> None:
    rows = [frame(title=f"Order {number}") for number in range(4)]
    line = Line(page, rows)
    show(page, "{% for one in rows %}{% task_progress one compact=True %}{% endfor %}", rows=rows)
    expect(page.locator("task-progress").last).to_have_attribute("data-conn", "live")
    for number, row in enumerate(rows):
        state = "failed" if number == 2 else "completed"
        row.update(rev=2, state=state, shown=state, final=True)
    line.send("update", tasks=rows)
    expect(page.get_by_role("status")).to_have_text("3 tasks completed, 1 failed")
    assert page.get_by_role("status").count() == 1


def test_a_host_without_a_script_is_reloaded_once_or_led_on(page: Page) -> None:
    line, one = follow(page, body="{% task_progress one reload_on_finish=True %}")
    with page.expect_event("load"):
        line.tell(rev=2, state="failed", shown="failed", final=True)
    # The page came from a cache: it still says processing.
    one.update(seq=1, rev=1, state="processing")
    line.frames[one["id"]] = {**one, "rev": 2, "state": "failed", "shown": "failed", "final": True}
    page.clock.install()
    show(page, "{% task_progress one reload_on_finish=True %}", one=one)
    expect(page.locator("task-progress")).to_have_attribute("state", "failed")
    page.evaluate("window.isTheSame = true")
    page.clock.run_for(3000)
    assert page.evaluate("fetch('/sign-in/').then(() => window.isTheSame)") is True

    other = frame()
    line.frames = {other["id"]: other}
    show(page, "{% task_progress one redirect_on_finish='/sign-in/' %}", one=other)
    expect(page.locator("task-progress")).to_have_attribute("data-conn", "live")
    line.tell(rev=2, state="completed", shown="completed", final=True)
    expect(page).to_have_url(re.compile("/sign-in/$"), timeout=PATIENCE)


def test_a_cancel_that_fails_is_told_and_can_be_tried_again(page: Page, console: Any) -> None:
    console.allow("50[03]")
    answers: list[dict[str, Any]] = [
        {"status": 503, "body": ""},
        {"status": 403, "json": {"text": "You may not cancel this task."}},
    ]
    line, one = follow(page, progress=0.5)
    console.allow("403")
    page.route(CANCEL, lambda route: route.fulfill(**answers.pop(0)))
    button = page.get_by_role("button", name="Cancel")
    button.focus()
    for said in ("Could not cancel. Try again.", "You may not cancel this task."):
        page.keyboard.press("Enter")
        expect(part(page, "conn")).to_have_text(said)
        expect(page.get_by_role("status")).to_contain_text(said)
        expect(button).to_be_focused()
        expect(button).to_have_text("Cancel Import orders.csv")
        expect(button).not_to_have_attribute("aria-disabled", "true")
    answers.append({"json": {"task": {**one, "rev": 2, "shown": "cancelling", "can": []}, "moved": True}})
    page.keyboard.press("Enter")
    expect(page.locator("task-progress")).to_have_attribute("shown", "cancelling")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_be_focused()
    expect(part(page, "conn")).to_have_text("live")
    line.tell(rev=3, state="cancelled", shown="cancelled", final=True)
    expect(page.locator("task-progress")).to_be_focused()


def test_stages_run_on(page: Page) -> None:
    began = datetime.now(UTC).timestamp()
    body = "{% task_progress one stages=names %}"
    one = frame(stage="Read", stages=[["Read", began - 42]])
    line = Line(page, [one])
    show(page, body, one=one, names=["Read", "Write"])
    expect(page.locator("task-progress")).to_have_attribute("data-conn", "live")
    line.tell(stage="Repair", stages=[["Read", began - 42], ["Repair", began]])
    expect(page.locator("[data-stage]")).to_have_text(
        [re.compile("Read done 0:4"), "Write skipped", re.compile("Repair running 0:0")]
    )


def test_the_title_tells_when_it_may(page: Page) -> None:
    line, _ = follow(page, body="{% task_progress one title=True %}", progress=0.1)
    line.tell(progress=0.62)
    expect(page).to_have_title("(62%) Host")
    line.tell(rev=2, state="failed", shown="failed", final=True)
    expect(page).to_have_title("Failed: Host")


def test_without_javascript_the_words_are_the_servers(new_context: Callable[..., BrowserContext]) -> None:
    page = new_context(java_script_enabled=False).new_page()
    one = frame(progress=0.62, message="orders.csv", done=620, total=1000, unit="rows", eta_s=27, title="Orders")
    show(page, ONE, one=one, csrf_token="t")
    expect(page.get_by_role("progressbar", name="Orders")).to_have_js_property("value", 0.62)
    expect(page.locator("task-progress")).to_contain_text("620 of 1,000 rows")
    expect(part(page, "eta")).to_have_text("about 25 s left")
    expect(page.get_by_role("link", name="Refresh")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()


STYLE = """(one, [selector, pseudo, name]) =>
  getComputedStyle(selector ? one.querySelector(selector) : one, pseudo)[name]"""


def style(page: Page, name: str, selector: str = "", pseudo: str | None = None) -> str:
    found: str = page.locator("task-progress").first.evaluate(STYLE, [selector, pseudo, name])
    return found


def test_readers_who_want_no_motion_get_none(page: Page) -> None:
    follow(page)
    bar = '[data-part="bar"]'
    assert style(page, "animationName", bar) == "tc-slide"
    page.emulate_media(reduced_motion="reduce")
    assert style(page, "animationName", bar) == "none"
    assert "linear-gradient" in style(page, "backgroundImage", bar)


def test_forced_colours_are_the_readers(page: Page) -> None:
    follow(page, progress=0.5)
    plain = style(page, "borderTopWidth", '[data-part="bar"]')
    page.emulate_media(forced_colors="active")
    assert (plain, style(page, "borderTopWidth", '[data-part="bar"]')) == ("0px", "1px")


LIGHT, DARK = "rgb(48, 54, 64)", "rgb(227, 231, 237)"


@pytest.mark.parametrize(
    ("content", "ink"), [("normal", LIGHT), ("light dark", DARK), ("dark", DARK), ("light", LIGHT)]
)
def test_the_page_decides_between_light_and_dark(page: Page, content: str, ink: str) -> None:
    """A page without a dark side stays readable for somebody whose system is dark."""
    page.emulate_media(color_scheme="dark")
    follow(page)
    show(page, ONE, head=f'<meta name="color-scheme" content="{content}">', one=frame())
    assert style(page, "color") == ink
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    assert style(page, "color") == LIGHT
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert style(page, "color") == DARK
