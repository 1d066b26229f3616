"""A real Chromium before a real ASGI server, which serves the test's database and Redis.

A test fails by what a page says on its console as an error, by a script's uncaught error, and by a traceback
of the server, unless it said before that it expects them: `console.allow(…)`, `asgi_server.allow_tracebacks()`.
The browser is the machine's own (`apt-get install chromium fonts-dejavu-core`); Playwright downloads none.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebError

from tests.browser.pictures import Album
from tests.processes import Process
from tests.servers import free_port

# Playwright's synchronous API keeps an event loop in this thread, in which Django would refuse the ORM.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

SAY_VIOLATION = "console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NARROW, WIDE = 390, 1280


class Site:
    """The site's ASGI server as a process; `stop` and `start` keep its address, as a deploy does."""

    def __init__(self, log: Path, application: str = "analysis.asgi:application", **environment: str) -> None:
        self.log = log
        self.application = application
        self.environment = {"DJANGO_ALLOW_ASYNC_UNSAFE": "", **environment}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        uvicorn = [sys.executable, "-m", "uvicorn", self.application, "--host", "127.0.0.1"]
        options = ["--port", str(self.port), "--lifespan", "off", "--timeout-graceful-shutdown", "1"]
        self.process = Process([*uvicorn, *options], log=self.log, **self.environment)
        self.process.wait_until(self._answers, f"it serves {self.url}", timeout=60)

    def stop(self) -> None:
        """SIGTERM: open sockets get a second."""
        self.process.stop()

    def kill9(self) -> None:
        self.process.kill9()

    def is_up(self) -> bool:
        return self.process.popen.poll() is None

    def begin_test(self) -> None:
        """A test that stopped the site gets it mended by the next one."""
        if not self.is_up():
            self.start()
        self._read_from = len(self.process.output())
        self._tracebacks_allowed = False

    def allow_tracebacks(self) -> None:
        self._tracebacks_allowed = True

    def end_test(self) -> None:
        said = self.process.output()[self._read_from :]
        if "Traceback (most recent call last)" in said and not self._tracebacks_allowed:
            pytest.fail(f"The server failed:\n{said[-4000:]}")

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Console:
    """What pages complain about. A browser asks for an icon unasked, which may be missing.

    And axe reads the admin's style sheets anew, as if their imports lay beside the page.
    """

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self._allowed = [re.compile(r"/favicon\.ico"), re.compile(r"/change/widgets\.css")]

    def allow(self, pattern: str) -> None:
        """Complaints matched by this regular expression are expected."""
        self._allowed.append(re.compile(pattern))

    def watch(self, context: BrowserContext) -> None:
        # Some violations of the policy never reach the console.
        context.add_init_script(f"addEventListener('securitypolicyviolation', event => {SAY_VIOLATION})")
        context.on("console", self._hear)
        context.on("weberror", self._hear_error)

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")

    def _hear_error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")

    def unexpected(self) -> list[str]:
        return [said for said in self.complaints if not any(known.search(said) for known in self._allowed)]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the machine's browser is. Without one: skipped, but a failure where CI is set."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        reason = "No Chromium here: apt-get install chromium fonts-dejavu-core."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return str(path)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any], chromium: str) -> dict[str, Any]:
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    # No sandbox: root and containers cannot have it, and the pages are ours.
    # A page that a test makes up counts as one from the internet, which may not open sockets to this machine.
    made_up = "--disable-features=LocalNetworkAccessChecks"
    args = ["--no-sandbox", "--disable-gpu", "--disable-quic", made_up, *quiet]
    return {**browser_type_launch_args, "executable_path": chromium, "headless": True, "args": args}


@pytest.fixture(scope="session")
def running_site(
    django_db_setup: None, redis_server: object, chromium: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site") / "uvicorn.log")
    yield site
    site.kill9()


@pytest.fixture(scope="session")
def base_url(running_site: Site) -> str:
    """So that `page.goto("/admin/")` goes to the site."""
    return running_site.url


@pytest.fixture(autouse=True)
def asgi_server(running_site: Site, database_url: str, redis_client: redis.Redis) -> Iterator[Site]:
    """The running site, with an empty database and an empty Redis."""
    running_site.begin_test()
    yield running_site
    running_site.end_test()


@pytest.fixture
def console() -> Iterator[Console]:
    heard = Console()
    yield heard
    assert heard.unexpected() == []


@pytest.fixture
def new_context(console: Console, new_context: Callable[..., BrowserContext]) -> Callable[..., BrowserContext]:
    """Playwright's, which `context` and `page` come from too; every page of it is listened to."""

    def make(**options: Any) -> BrowserContext:
        context = new_context(**options)
        console.watch(context)
        return context

    return make


@pytest.fixture
def login(running_site: Site, context: BrowserContext) -> Callable[..., None]:
    """Signs a user in, in the test's browser or in another context."""

    def sign_in(user: Any, where: BrowserContext = context) -> None:
        client = Client()
        client.force_login(user)
        name = settings.SESSION_COOKIE_NAME
        where.add_cookies([{"name": name, "value": client.cookies[name].value, "url": running_site.url}])

    return sign_in


@pytest.fixture
def block_sockets(console: Console) -> Callable[[Page | BrowserContext], None]:
    """From here on, no websocket of this page or context opens, as behind a proxy that does not know them."""

    def block(where: Page | BrowserContext) -> None:
        console.allow("WebSocket")
        where.route_web_socket(re.compile(".*"), lambda route: route.close())

    return block


@pytest.fixture
def screenshot(tmp_path: Path, browser: Browser) -> Callable[[Page, str], None]:
    """Takes the page in light and dark, wide and narrow; kept in the folder SCREENSHOTS names, if any."""
    album = Album(Path(os.environ.get("SCREENSHOTS") or tmp_path), browser)

    def take(page: Page, name: str) -> None:
        for width, size in ((WIDE, "wide"), (NARROW, "narrow")):
            page.set_viewport_size({"width": width, "height": 800})
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                album.keep(page, f"{name}-{size}-{scheme}")

    return take
