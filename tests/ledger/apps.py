from __future__ import annotations

import os

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "tests.ledger"

    def ready(self) -> None:
        from . import villains  # noqa: F401 its tasks are known from here on

        if moment := os.environ.get("SABOTAGE"):
            from . import sabotage

            sabotage.install(moment)
