"""A page of somebody else's with our widget on it, and a server's side of the socket that says what a test wants."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.template import Context, Template
from playwright.sync_api import BrowserContext, Page, Route, WebSocket, WebSocketRoute

from analysis.middleware import POLICY

ADDRESS = "/host/"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Host</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{head}
{{% load taskcenter %}}{{% task_progress_assets %}}</head><body><main><h1>Host</h1>{body}</main></body></html>"""


def show(page: Page, body: str, *, head: str = "", policy: str = POLICY, **context: Any) -> None:
    """Opens a page with no style sheet but the widget's, under the site's policy."""
    source = PAGE.format(head=head, body=body)

    def answer(route: Route) -> None:
        html = Template(source).render(Context(context))
        route.fulfill(body=html, content_type="text/html", headers={"Content-Security-Policy": policy})

    page.unroute("**" + ADDRESS)
    page.route("**" + ADDRESS, answer)
    page.goto(ADDRESS)


def frame(state: str = "processing", **fields: Any) -> dict[str, Any]:
    """A frame as the server sends it."""
    shown = fields.pop("shown", state)
    ended = state in {"completed", "failed", "cancelled"}
    return {
        "id": str(uuid4()), "rev": 1, "attempt": 1, "seq": 1, "state": state, "shown": shown, "final": ended,
        "progress": None, "message": "", "stage": "", "stages": [], "done": None, "total": None, "unit": "",
        "rate": None, "eta_s": None, "max_attempts": 1, "due_at": None, "updated_at": datetime.now(UTC).isoformat(),
        "can": [] if ended else ["cancel"], "url": None, "title": "Import orders.csv", "error": None,
        "report_url": None, "worker_alive": True, **fields,
    }  # fmt: skip


class Line:
    """The server's side of every websocket of the page: it answers with these frames."""

    def __init__(self, page: Page | BrowserContext, frames: Iterable[dict[str, Any]] = (), hello: bool = True) -> None:
        self.frames = {one["id"]: one for one in frames}
        self.asked: list[dict[str, Any]] = []
        self.sockets: list[WebSocketRoute] = []
        self.hello = hello
        page.route_web_socket(re.compile("/ws/taskcenter/"), self._open)

    def tell(self, **fields: Any) -> None:
        """An update of one or all tasks; later than everything before."""
        for one in self.frames.values():
            one.update(seq=one["seq"] + 1, **fields)
        self.send("update", tasks=list(self.frames.values()))

    def send(self, kind: str, **fields: Any) -> None:
        self.sockets[-1].send(json.dumps({"type": kind, **fields}))

    def close(self, code: int) -> None:
        self.sockets[-1].close(code=code)

    def subscribed(self) -> list[dict[str, Any]]:
        """What the page has asked for, one after the other."""
        return [task for message in self.asked if message["type"] == "subscribe" for task in message["tasks"]]

    def _open(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(self._hear)
        if self.hello:
            self.send("hello", v=1, now=None, heartbeat=20, max=200, user="1")

    def _hear(self, text: str | bytes) -> None:
        message = json.loads(text)
        self.asked.append(message)
        if message["type"] == "ping":
            self.send("pong", n=message["n"], now=None)
        if message["type"] == "subscribe":
            wanted = [task["id"] for task in message["tasks"]]
            found = [self.frames[key] for key in wanted if key in self.frames]
            denied = [key for key in wanted if key not in self.frames]
            self.send("snapshot", tasks=found, same=[], denied=denied)


class Heard:
    """What came over the page's real websockets."""

    def __init__(self, page: Page) -> None:
        self.sockets = 0
        self.frames: list[dict[str, Any]] = []
        page.on("websocket", self._open)

    def updates(self) -> list[dict[str, Any]]:
        return [one for one in self.frames if one["type"] == "update"]

    def _open(self, socket: WebSocket) -> None:
        self.sockets += 1
        socket.on("framereceived", lambda text: self.frames.append(json.loads(text)))


def count_events(page: Page, *names: str) -> Callable[[], list[str]]:
    """From here on, which of the widget's events reached the document, in order."""
    page.evaluate(
        """names => { window.heard = [];
           for (const name of names) document.addEventListener(name, event => window.heard.push(
             `${name} ${event.detail.state} ${event.composed}`)); }""",
        names,
    )
    return lambda: page.evaluate("window.heard")
