from __future__ import annotations

import os

from django.apps import AppConfig


class LedgerConfig(AppConfig):
    name = "tests.ledger"

    def ready(self) -> None:
        from . import villains  # noqa: F401 PLC0415 its tasks are known from here on

        if moment := os.environ.get("SABOTAGE"):
            from . import sabotage  # noqa: PLC0415 it needs models, and is wanted only here

            sabotage.install(moment)
