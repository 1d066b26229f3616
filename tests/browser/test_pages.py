"""Every page of the catalogue is whole: for every eye, width and theme, by keyboard, under the policy, without script.

`make screenshots` keeps what it sees in docs/images. `PAGES="admin-task*" make screenshots` looks at some only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from playwright.sync_api import Browser, BrowserContext, Page

from .audit import faults_of, keep_still
from .catalogue import ADMIN, FIRST_DAY, PEOPLE, STRANGERS, Look
from .conftest import NARROW, WIDE, Console, Site
from .noon import NOON
from .office import furnish, nobody_works_here, noon
from .pictures import Album
from .structure import DEAD, HEADINGS, focus_of, skeleton_of

pytestmark = pytest.mark.django_db(transaction=True)

SIZES = ((WIDE, "wide"), (NARROW, "narrow"))
SCHEMES = ("light", "dark")
WANTED = os.environ.get("PAGES", "*").split(",")


@pytest.fixture(scope="session")
def still_site(running_site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("still") / "uvicorn.log", "tests.browser.still_site:application")
    yield site
    site.kill9()


@pytest.fixture
def visit(new_context: Callable[..., BrowserContext], login: Callable[..., None]) -> Callable[..., Page]:
    """A tab of that person, with or without script; the time is that of the office."""
    tabs: dict[tuple[str, bool], Page] = {}

    def tab(who: str, *, script: bool = True) -> Page:
        if (who, script) not in tabs:
            context = new_context(java_script_enabled=script, reduced_motion="reduce")
            with noon():
                if who:
                    login(get_user_model().objects.get(username=who), context)
            if script:
                context.clock.set_fixed_time(NOON)
            tabs[who, script] = context.new_page()
        return tabs[who, script]

    return tab


@pytest.fixture
def check(still_site: Site, visit: Callable[..., Page], console: Console, browser: Browser) -> Callable[..., None]:
    """Look at these pages, and tell all that is wrong with any of them."""
    album = Album(Path(os.environ["SCREENSHOTS"]), browser) if "SCREENSHOTS" in os.environ else None

    def all_of(looks: Iterable[Look], ids: dict[str, Any]) -> None:
        found = []
        wanted = (look for look in looks if any(fnmatch(look.name, name) for name in WANTED))
        for look in (look.at(still_site.url, ids) for look in wanted):
            page = visit(look.who)
            faults = _opened(page, look) + _said(console, look)
            faults += _seen(page, look.name, album if look.picture else None)
            console.complaints.clear()  # axe tries styles that the policy forbids
            faults += _without_script(visit(look.who, script=False), look, page)
            faults += _said(console, look)
            found += [f"{look.name}: {fault}" for fault in faults]
        assert not found, "\n" + "\n".join(found)

    return all_of


def _opened(page: Page, look: Look) -> list[str]:
    page.set_viewport_size({"width": WIDE, "height": 800})
    response = page.goto(look.address)
    status = response.status if response else None
    if look.then:
        look.then(page)
    return [] if status == look.status else [f"answers {status}, not {look.status}"]


def _said(console: Console, look: Look) -> list[str]:
    """Complaints so far, but for the answer that was meant: that it is not there, or that a form is wrong."""
    meant = "status of 4" if look.then else f"status of {look.status}"
    said = [text for text in console.unexpected() if meant not in text]
    console.complaints.clear()
    return said


def _seen(page: Page, name: str, album: Album | None) -> list[str]:
    """What eyes and a keyboard meet, each fault once."""
    keep_still(page)
    faults = dict.fromkeys(skeleton_of(page), "")
    for width, size in SIZES:
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            if album:
                album.keep(page, f"{name}-{size}-{scheme}")
            for fault in faults_of(page, of_theme=scheme == "dark"):
                faults.setdefault(fault, f" ({size} {scheme})")
    return [fault + where for fault, where in faults.items()] + focus_of(page)


def _without_script(page: Page, look: Look, scripted: Page) -> list[str]:
    """The same headings, and no button that only a script could bring to life."""
    if look.then:
        return []
    faults = _opened(page, look)
    lost = [text for text in scripted.evaluate(HEADINGS) if text not in page.evaluate(HEADINGS)]
    faults += [f"without script there is no heading {text!r}" for text in lost]
    return faults + [f"dead without script: {button}" for button in page.evaluate(DEAD)]


def _in_parts(looks: list[Look], size: int = 9) -> pytest.MarkDecorator:
    """Not one long test: on a busy machine it would look like one that hangs."""
    parts = [looks[start : start + size] for start in range(0, len(looks), size)]
    return pytest.mark.parametrize("looks", parts, ids=[part[0].name for part in parts])


@_in_parts([*PEOPLE, *ADMIN])
def test_pages_of_a_working_day(looks: list[Look], check: Callable[..., None]) -> None:
    with noon():
        ids = furnish()
    check(looks, ids)


@_in_parts([*STRANGERS, *FIRST_DAY])
def test_pages_of_the_first_day(looks: list[Look], check: Callable[..., None]) -> None:
    with noon():
        ids = nobody_works_here()
    check(looks, ids)
