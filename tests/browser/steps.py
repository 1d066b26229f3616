"""What a person does on the site, as functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.factories import PASSWORD

PATIENCE = 60_000
"""Milliseconds an expectation may take: a net for slow machines, never a measure."""

RUN_PAGE = re.compile(r"/analyses/[0-9a-f-]{36}/$")


def sign_in(page: Page, user: Any) -> None:
    page.goto("/sign-in/")
    page.get_by_label("User name").fill(user.get_username())
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="My analyses")).to_be_visible()


def upload(page: Page, file: Path) -> None:
    """Upload a file; ends on its run page."""
    page.goto("/analyses/new/")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload and analyse").click()
    expect(page).to_have_url(RUN_PAGE, timeout=PATIENCE)


def table(path: Path, rows: Iterable[Iterable[Any]]) -> Path:
    """A CSV file of these rows."""
    path.write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return path


def sales(path: Path, count: int = 30_000) -> Path:
    """A CSV file that takes a few seconds to analyse."""
    rows = (
        (n, f"shop {n % 17}", (n * 37) % 1000 / 10, n % 5, f"2026-{n % 12 + 1:02d}-{n % 28 + 1:02d}")
        for n in range(count)
    )
    return table(path, [("id", "shop", "price", "pieces", "day"), *rows])
