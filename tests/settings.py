"""The site's settings as the tests want them: quick recovery, cheap passwords, and the ledger's tasks."""

from __future__ import annotations

from analysis.settings import *  # noqa: F403 a settings module is its names
from analysis.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.ledger"]
TASKCENTER = {"HEARTBEAT": 1, "STALE_AFTER": 3, "GRACE": 2}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
