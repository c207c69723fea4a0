"""What a run of the benchmark found: figures with their goals, and what went wrong."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """Figures of one run.

    Args:
        rows: Subject, figure and goal of each.
        problems: Sentences on what was lost or failed.
    """

    rows: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, subject: str, figure: str, goal: str = "") -> None:
        """Add a figure."""
        self.rows.append((subject, figure, goal))

    def lost(self, sentence: str) -> None:
        """Add a problem."""
        self.problems.append(sentence)

    def table(self) -> str:
        """Return the figures as a table in Markdown."""
        lines = ["| | measured | goal |", "| --- | --- | --- |"]
        return "\n".join(
            [*lines, *(f"| {subject} | {figure} | {goal} |" for subject, figure, goal in self.rows)]
        )


def seconds_words(seconds: Sequence[float]) -> str:
    """Return the middle and the slow end of some durations, and how many there are."""
    if not seconds:
        return "nothing measured"
    return (
        f"p50 {statistics.median(seconds):.2f} s, p95 {percentile(seconds, 95):.2f} s, {len(seconds)} answers"
    )


def percentile(values: Sequence[float], share: int) -> float:
    """Return the value below which `share` percent of the values are, the nearest one above it."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, -(-share * len(ordered) // 100) - 1)]
