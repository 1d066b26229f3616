"""The browser's own set-up: the site answers over HTTP and websockets, and what goes wrong fails a test."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Console, Site
from tests.factories import make_staff


def test_a_stranger_is_asked_to_sign_in_and_styles_are_there(page: Page) -> None:
    page.goto("/")
    expect(page).to_have_url(re.compile("/sign-in/"))
    assert page.request.get("/static/admin/css/base.css").ok


def test_whoever_is_signed_in_gets_in(page: Page, login: Callable[..., None]) -> None:
    login(make_staff("boss", is_superuser=True))
    page.goto("/admin/")
    expect(page.locator("#user-tools")).to_contain_text("boss")


def test_the_site_comes_back_at_its_address(page: Page, asgi_server: Site, console: Console) -> None:
    page.goto("/sign-in/")
    asgi_server.stop()
    console.allow("ERR_CONNECTION_REFUSED")
    with pytest.raises(Exception, match="ERR_CONNECTION_REFUSED"):
        page.goto("/sign-in/")
    asgi_server.start()
    page.goto("/sign-in/")
    expect(page.get_by_role("button").first).to_be_visible()


def test_an_error_on_the_console_is_noticed(page: Page, console: Console) -> None:
    page.goto("/sign-in/")
    page.evaluate("console.error('an ' + 'omen')")
    page.evaluate("setTimeout(() => { throw new Error('out of the blue') })")
    page.wait_for_timeout(100)
    assert [said.split(" (")[0] for said in console.unexpected()] == ["an omen", "uncaught: out of the blue"]
    console.allow("omen|out of the blue")


def test_blocked_sockets_do_not_open(page: Page, block_sockets: Callable[..., Any]) -> None:
    block_sockets(page)
    page.goto("/sign-in/")
    opened = page.evaluate(
        "new Promise(done => { const s = new WebSocket(`ws://${location.host}/ws/taskcenter/`);"
        " s.onclose = () => done(s.readyState) })"
    )
    assert opened == 3
