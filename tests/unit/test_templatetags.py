"""The template tags: what a page shows without any script, and that nothing gets out unescaped."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone

import taskcenter
from taskcenter.models import Task
from taskcenter.progress import Snapshot, Stored, frame, words
from taskcenter.progress.words import ICONS, MEANINGS, WORDS
from taskcenter.states import State
from tests.factories import make_notification, make_task, make_user

TABLE = json.loads((Path(__file__).parent / "js/words.json").read_text())
SCRIPT = Path(taskcenter.__file__).parent / "static/taskcenter/task-progress.js"
HOSTILE = "<script>alert('\"&\"')</script>"


def a_task(state: str = State.PROCESSING, **fields: Any) -> Task:
    values = {"id": uuid4(), "definition": "shop.tasks.count", "attempt": 1, "attempted_at": timezone.now()}
    if state == State.FAILED:
        values["finished_at"] = timezone.now()
    return Task(**{**values, "state": state, **fields})


def progressing(fraction: float | None, **metadata: Any) -> dict[str, Any]:
    stored = Stored(attempt=1, seq=4, progress=fraction, metadata=metadata)
    return {"progress": fraction, "progress_state": stored.for_row()}


def rendered(source: str, **context: Any) -> str:
    return Template("{% load taskcenter %}" + source).render(Context(context))


def asked_by(user: Any) -> dict[str, Any]:
    request = RequestFactory().get("/here/?page=2")
    request.user = user
    return {"request": request, "user": user, "csrf_token": "t0ken"}


def test_the_bar_works_without_a_script() -> None:
    task = a_task(title="Sales", **progressing(0.629, message="row 620", stage="Read"))
    html = rendered("{% task_progress task %}", task=task)
    assert f'task-id="{task.id}"' in html
    assert 'rev="1" attempt="1" seq="4" state="processing" shown="processing" label="Sales"' in html
    assert 'ws-url="/ws/taskcenter/" poll-url="/tasks/state/"' in html
    assert 'max="1" value="0.629" aria-label="Sales" aria-valuetext="62 percent"' in html
    assert '<span data-part="percent">62%</span>' in html
    assert "Read: row 620" in html
    assert '<span data-part="word">Processing</span>' in html
    assert "Refresh</a></noscript>" in html


def test_unknown_progress_has_no_value_and_no_percent() -> None:
    html = rendered("{% task_progress task %}", task=a_task(State.PENDING))
    assert "value=" not in html.replace("aria-valuetext=", "")
    assert '<span data-part="percent"></span>' in html


def test_nearly_done_is_not_done() -> None:
    assert ">99%<" in rendered("{% task_progress task %}", task=a_task(**progressing(0.9999)))
    done = a_task(State.COMPLETED, finished_at=timezone.now())
    assert ">100%<" in rendered("{% task_progress task %}", task=done)


def test_counts_have_a_line_of_their_own() -> None:
    task = a_task(**progressing(None, done=620, total=1000, unit="rows"))
    assert 'title="620 of 1,000 rows">620 of 1,000 rows</span>' in rendered("{% task_progress task %}", task=task)


@pytest.mark.parametrize("case", TABLE["cases"], ids=lambda case: case["name"])
def test_the_same_words_as_the_scripts(case: dict[str, Any]) -> None:
    told, now = {"error": None, "due_at": None, **case["frame"]}, datetime.fromisoformat(TABLE["now"])
    assert words.percent_text(told["progress"]) == case["percent"]
    assert words.message_text(told) == case["message"]
    assert words.message_text(told, has_stages=True) == case.get("with_stages", case["message"])
    assert words.count_text(told) == case["count"]
    assert words.time_text(told, now) == case["time"]
    assert words.value_text(told, now) == case["value"]


@pytest.mark.parametrize("case", TABLE["stages"], ids=lambda case: case["name"])
def test_the_same_stages_as_the_scripts(case: dict[str, Any]) -> None:
    found = words.stage_list(case["names"], case["frame"], datetime.fromisoformat(case["now"]))
    assert [f"{stage['name']}: {stage['text']}" for stage in found] == case["list"]


def test_the_script_knows_every_word_and_icon() -> None:
    script = SCRIPT.read_text()
    for name, word in WORDS.items():
        assert f'{name}: ["{word}", ' in script
        assert f', "{ICONS[name]}"]' in script


def test_stages_are_listed_when_asked_for() -> None:
    stages = [["Read", 1764064710.0], ["Check", 1764064752.5]]
    task = a_task(**progressing(0.5, stage="Check", stages=stages, message=HOSTILE))
    html = rendered("{% task_progress task stages=names %}", task=task, names=["Read", "Check", "Write"])
    assert " stages data-conn" in html
    assert '<li data-stage="Read" data-state="done"><span>Read</span> <span data-part="stage-state">done 0:42' in html
    assert '<li data-stage="Write" data-state="waiting">' in html
    assert "Check: " not in html
    assert 'data-stage="Check" data-state="running"' in rendered("{% task_progress task stages=True %}", task=task)
    assert "stages" not in rendered("{% task_progress task %}", task=task)


def test_a_host_page_chooses_by_attributes() -> None:
    source = "{% task_progress task token=token title=True reload_on_finish=True redirect_on_finish=address %}"
    html = rendered(source, task=a_task(), token="a:b", address="/done/?a&b")
    assert ' token="a:b" title-progress reload-on-finish redirect-on-finish="/done/?a&amp;b" data-conn="none">' in html
    plain = rendered("{% task_progress task %}", task=a_task())
    assert not any(name in plain for name in ("token=", "title-progress", "reload-on", "redirect-on"))


def test_nothing_hostile_gets_out_unescaped() -> None:
    task = a_task(title=HOSTILE, **progressing(0.5, message=HOSTILE, stage=HOSTILE, unit=HOSTILE))
    failed = a_task(State.FAILED, title=HOSTILE, error_type=HOSTILE, error_message=HOSTILE)
    spec = {"kind": HOSTILE, "title": HOSTILE}
    for source in ("{% task_progress task %}", "{% task_badge task %}", "{% chart spec %}"):
        for one in (task, failed):
            html = rendered(source, task=one, spec=spec)
            assert "<script" not in html
            assert '"&"' not in html


def test_a_row_a_snapshot_and_a_frame_look_the_same() -> None:
    task = a_task(title="Sales", **progressing(0.5))
    pages = {rendered("{% task_progress task %}", task=one) for one in (task, Snapshot(task), frame(task))}
    assert len(pages) == 1


@pytest.mark.django_db
def test_the_owner_may_cancel_by_a_plain_form_that_comes_back_here() -> None:
    owner = make_user()
    task = make_task(State.PROCESSING, owner=owner)
    html = rendered("{% task_progress task %}", task=task, **asked_by(owner))
    assert f'method="post" action="/tasks/tasks/{task.id}/cancel/"' in html
    assert 'name="csrfmiddlewaretoken" value="t0ken"' in html
    assert 'name="next" value="/here/?page=2"' in html
    for source, user in (
        ("{% task_progress task cancel=False %}", owner),
        ("{% task_progress task %}", make_user()),
        ("{% task_progress task %}", AnonymousUser()),
    ):
        assert "<form" not in rendered(source, task=task, **asked_by(user))


def test_compact_leaves_the_refresh_link_out() -> None:
    html = rendered("{% task_progress task compact=True %}", task=a_task())
    assert " compact " in html
    assert "noscript" not in html


def test_every_state_has_a_word_an_icon_and_a_meaning() -> None:
    assert WORDS.keys() == ICONS.keys() == MEANINGS.keys()
    for state in State:
        task = Task(state=state)
        html = rendered("{% task_badge task %}", task=task)
        assert WORDS[state] in html
        assert f"tc-{state}" in html


def test_assets_are_one_style_sheet_and_one_module_with_the_nonce_if_there_is_one() -> None:
    html = rendered("{% task_progress_assets %}")
    assert 'rel="stylesheet" href="/static/taskcenter/taskcenter.css">' in html
    assert '<script type="module" src="/static/taskcenter/task-progress.js"></script>' in html
    assert rendered("{% task_progress_assets %}", csp_nonce="n0").count('nonce="n0"') == 2


def test_a_chart_is_drawn_and_one_that_cannot_be_says_so() -> None:
    spark = {"kind": "spark", "title": "Rows", "values": [1, 2, 3]}
    assert "<svg" in rendered("{% chart spec %}", spec=spark)
    assert "cannot be drawn" in rendered("{% chart spec %}", spec={"kind": "pie"})


@pytest.mark.django_db
def test_the_unread_count_costs_one_query(django_assert_num_queries: Any) -> None:
    user = make_user()
    for _ in range(3):
        make_notification(make_task(State.COMPLETED, owner=user))
    with django_assert_num_queries(1):
        html = rendered("{% unread_notifications %}", **asked_by(user))
    assert 'data-taskcenter-unread data-ws-url="/ws/taskcenter/">3</span>' in html
    assert " hidden>" in rendered("{% unread_notifications %}", **asked_by(make_user()))


def test_nobody_in_particular_has_no_notifications(django_assert_num_queries: Any) -> None:
    assert rendered("{% unread_notifications %}", **asked_by(AnonymousUser())).strip() == ""
    assert rendered("{% unread_notifications %}").strip() == ""


def test_a_bar_with_an_address_of_its_own_asks_there_and_opens_no_socket() -> None:
    page = rendered("{% task_progress task token=token poll_url='/shared/' %}", task=a_task(), token=HOSTILE)
    assert 'ws-url=""' in page
    assert 'poll-url="/shared/"' in page
    assert HOSTILE not in page
    assert "token=" not in rendered("{% task_progress task %}", task=a_task())


@pytest.mark.parametrize(
    ("seconds", "told"), [(5, "just now"), (300, "5 minutes ago"), (7500, "2 hours ago"), (90_000, "1 day ago")]
)
def test_a_time_is_told_in_one_unit(seconds: int, told: str) -> None:
    at = timezone.now() - timedelta(seconds=seconds)
    assert rendered("{{ at|ago }}", at=at).replace("\xa0", " ") == told
