"""Definitions that the rows are of; nobody runs them."""

from __future__ import annotations

from taskcenter import task


@task(queue_name="imports")
def load(number: int) -> None:
    """The one with titles."""


@task(queue_name="mail")
def send(number: int) -> None:
    """The most frequent one."""


@task(queue_name="reports")
def draw(number: int) -> None:
    """One that fails now and then."""
