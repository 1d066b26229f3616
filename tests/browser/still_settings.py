"""The tests' settings without the tests' tasks, which no reader of the pictures should meet."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 a settings module is its names
from tests.settings import INSTALLED_APPS

INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "tests.ledger"]
