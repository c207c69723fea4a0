"""Figures of a run of the benchmark: each with its goal, or with the load of a large cluster that it can carry."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field

_NUM_FIRST = 6


@dataclass(frozen=True)
class Row:
    """A figure.

    Args:
        part: Of the benchmark.
        subject: Was measured.
        measured: The figure.
        goal: The figure that it is compared with: a goal, or what the load would ask for.
        unit: Of both.
        is_rate: Whether more is better, as of events a second; otherwise it is a cost, as seconds of a click.
        at: Number of computers or runs that the figure belongs to; 0 where the goal depends on neither.
        noun: Of what `at` counts, such as `"computers"`.
        when: Under which of several conditions it was measured, such as a number of runs.
    """

    part: str
    subject: str
    measured: float
    goal: float
    unit: str
    is_rate: bool = False
    at: int = 0
    noun: str = ""
    when: str = ""

    @property
    def headroom(self) -> float:
        """How many times the goal it reaches; below 1 it misses it."""
        if self.is_rate:
            return self.measured / self.goal
        return self.goal / self.measured if self.measured > 0 else math.inf

    @property
    def holds_up_to(self) -> str:
        """The number of computers or runs at which it would reach 1, in proportion; empty where it has none."""
        return f"{rounded(self.at * self.headroom)} {self.noun}" if self.at else ""


@dataclass
class Report:
    """Figures of one run.

    Args:
        rows: In the order in which they were measured.
        problems: Sentences on what was lost or failed.
    """

    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Add a figure."""
        self.rows.append(row)

    def lost(self, sentence: str) -> None:
        """Add a problem."""
        self.problems.append(sentence)

    def table(self) -> str:
        """Return the figures as a table in Markdown."""
        lines = [
            "| part | | measured | goal | headroom | holds up to |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for row in self.rows:
            goal = f"at {'least' if row.is_rate else 'most'} {rounded(row.goal)}"
            lines.append(
                f"| {row.part} | {row.subject}{_behind_comma(row.when)} | {rounded(row.measured)} {row.unit} | {goal} "
                f"| {rounded(row.headroom)} | {row.holds_up_to} |"
            )
        return "\n".join(lines)

    def breaks_first(self) -> str:
        """Return the subjects with the least headroom as lines, the least first, each with its worst figure."""
        worst: dict[str, Row] = {}
        for row in sorted(self.rows, key=lambda row: row.headroom):
            worst.setdefault(row.subject, row)
        lines = (
            f"{place}. {row.subject}{_behind_comma(row.when)}: {rounded(row.headroom)} of the goal"
            + (f", holds up to {row.holds_up_to}" if row.at else "")
            for place, row in enumerate(list(worst.values())[:_NUM_FIRST], 1)
        )
        return "\n".join(lines)

    def as_json(self) -> str:
        """Return everything as one line of JSON."""
        rows = [{**asdict(row), "headroom": row.headroom} for row in self.rows]
        return json.dumps({"rows": rows, "problems": self.problems})


def rounded(number: float) -> str:
    """Return a number with two or three significant digits, and thousands apart."""
    if math.isfinite(number) and abs(number) >= 100:
        return f"{float(f'{number:.3g}'):,.0f}"
    return f"{number:.2g}" if abs(number) < 10 else f"{number:.0f}"


def _behind_comma(words: str) -> str:
    return f", {words}" if words else ""
