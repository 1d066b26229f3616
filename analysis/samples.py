"""The data sets that come with the site, to try it with one click."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Sample:
    key: str
    file_name: str
    title: str
    about: str

    @property
    def path(self) -> Path:
        return FOLDER / self.file_name


SAMPLES = {
    sample.key: sample
    for sample in (
        Sample("penguins", "penguins.csv", "Penguins", "344 penguins measured on three islands; real data."),
        Sample(
            "orders",
            "orders.csv",
            "Shop orders",
            "Orders of an invented shop, with mistakes put in on purpose.",
        ),
    )
}
