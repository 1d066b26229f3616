"""Numbers per runner, measure and round; medians, and ratios taken within each round."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from benchmarks.runners import BASELINE

__all__ = ["Results", "Spread"]

Numbers = dict[str, float]


@dataclass(frozen=True)
class Spread:
    """The middle and the ends of a number over the rounds."""

    median: float
    low: float
    high: float
    rounds: int


@dataclass
class Results:
    """What was measured, and why some of it was not."""

    numbers: dict[str, dict[str, dict[int, Numbers]]] = field(default_factory=dict)
    """runner -> measure -> round -> name -> number."""
    failures: dict[str, str] = field(default_factory=dict)
    """runner -> reason."""

    def add(self, runner: str, measure: str, round_number: int, numbers: Numbers) -> None:
        self.numbers.setdefault(runner, {}).setdefault(measure, {})[round_number] = numbers

    def runners(self, measure: str) -> list[str]:
        return [runner for runner, measures in self.numbers.items() if measure in measures]

    def spread(self, runner: str, measure: str, name: str) -> Spread | None:
        """None where it was not measured."""
        return _spread(list(self._by_round(runner, measure, name).values()))

    def ratio(self, runner: str, measure: str, name: str) -> Spread | None:
        """To the baseline of the same round; None where there is none."""
        baseline = self._by_round(BASELINE, measure, name)
        mine = self._by_round(runner, measure, name)
        return _spread([number / baseline[key] for key, number in mine.items() if baseline.get(key)])

    def _by_round(self, runner: str, measure: str, name: str) -> dict[int, float]:
        rounds = self.numbers.get(runner, {}).get(measure, {})
        return {key: numbers[name] for key, numbers in rounds.items() if name in numbers}


def _spread(values: list[float]) -> Spread | None:
    return Spread(statistics.median(values), min(values), max(values), len(values)) if values else None
