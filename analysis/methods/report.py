"""What an analysis gives back."""

import json
from dataclasses import dataclass
from typing import Any

SCHEMA = "taskcenter.analysis.report/1"


@dataclass(frozen=True, slots=True)
class Report:
    """The report as JSON-able data; `docs/report-schema.md` describes every key."""

    data: dict[str, Any]

    @property
    def headline(self) -> str:
        """The one sentence on top."""
        return str(self.data["summary"]["headline"])

    @property
    def findings(self) -> list[dict[str, Any]]:
        """All findings, most important first."""
        return list(self.data["findings"])

    def as_dict(self) -> dict[str, Any]:
        """The data; the key `run` holds what differs between two runs on the same file."""
        return self.data

    def stable_json(self) -> str:
        """The report without `run`: byte for byte the same for the same file and options."""
        stable = {key: value for key, value in self.data.items() if key != "run"}
        return json.dumps(stable, ensure_ascii=False, sort_keys=True, allow_nan=False)
