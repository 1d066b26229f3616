"""Operators in front of the admin: browsers of their own, forms that they may send more than once."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

from django.test import Client
from django.urls import reverse

from taskcenter.models import Task
from tests.factories import make_staff
from tests.integration.rivals import at_once

MAY = ("view_task", "retry_task", "cancel_task", "recover_task")
LIST = "/admin/taskcenter/task/"


class Operator:
    """One person at one browser."""

    def __init__(self, name: str) -> None:
        self.user = make_staff(name, permissions=MAY)
        self.browser = Client()
        self.browser.force_login(self.user)

    def ask(self, verb: str, *task_ids: str) -> tuple[str, dict[str, str]]:
        """The address and the fields of the confirmation form, of one task or of many."""
        if len(task_ids) == 1:
            address = reverse(f"admin:taskcenter_task_{verb}", args=task_ids)
            page = self.browser.get(address)
        else:
            address = reverse("admin:taskcenter_task_bulk", args=[verb])
            page = self.browser.post(LIST, {"action": f"{verb}_selected", "_selected_action": task_ids})
        return address, fields_of(page)

    def ask_for_list(self, verb: str, query: str) -> tuple[str, dict[str, str]]:
        """As ask(), of all that the list shows."""
        chosen = {"action": f"{verb}_selected", "_selected_action": ["x"], "select_across": "1"}
        page = self.browser.post(f"{LIST}{query}", chosen)
        return reverse("admin:taskcenter_task_bulk", args=[verb]), fields_of(page)

    def confirm(self, asked: tuple[str, dict[str, str]]) -> str:
        """Send the form, in a browser tab of its own; what the next page says."""
        address, fields = asked
        tab = Client()
        tab.cookies = SimpleCookie({"sessionid": self.browser.cookies["sessionid"].value})
        answer = tab.post(address, {**fields, "reason": "The disk was full"}, follow=True)
        assert answer.status_code == 200
        # Not from `answer.context`, into which each thread puts what it renders.
        return html.unescape(
            " ".join(re.findall(r'<li class="(?:success|warning|error)">(.*?)</li>', answer.content.decode()))
        )


def fields_of(page: Any) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode())
    assert found, "there is nothing to confirm"
    return {name: html.unescape(value) for name, value in found}


def all_at_once(*clicks: Callable[[], Any]) -> list[Any]:
    """What they return when all of them start at the same moment."""
    return at_once(len(clicks), lambda number: clicks[number]())


def events_of(kind: str, *task_ids: str) -> int:
    return sum(task.events.filter(kind=kind).count() for task in Task.objects.filter(id__in=task_ids))
