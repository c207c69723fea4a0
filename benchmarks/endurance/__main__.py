"""Run stress tests for a limited time and print a table of lost work and wrong results.

Each check has its own seed, number of trials and share of the time, and reports the trials that fit into it. Needs
processes that fork (Linux, macOS).

Example:
    python -m benchmarks.endurance --minutes 60
    python -m benchmarks.endurance --only kills --share 0.1
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.endurance.damage import damage
from benchmarks.endurance.edits import edits
from benchmarks.endurance.failing_writes import failing_writes
from benchmarks.endurance.interruptions import interruptions
from benchmarks.endurance.kills import kills
from benchmarks.endurance.rubbish import archives, images
from benchmarks.endurance.server import many_trainings, two_at_once
from benchmarks.endurance.trials import Budget, Report
from benchmarks.photos import machine
from transfer_core.backbones.registry import DEFAULT_BACKBONE


@dataclass(frozen=True)
class Check:
    """One row of the table.

    Args:
        title: Name of the row.
        run: Runs the trials.
        num_trials: Trials of a complete benchmark.
        weight: Share of the time, relative to the other checks.
    """

    title: str
    run: Callable[[Budget], Report]
    num_trials: int
    weight: float


CHECKS = {
    "kills": Check("killed at random moments, resumed: equal weights", kills, 100, 5),
    "interruptions": Check("stopped or paused at random moments: nothing lost", interruptions, 100, 4),
    "writes": Check("failing writes: earlier files load, one sentence", failing_writes, 50, 4),
    "edits": Check("edits by two processes: saved or refused", edits, 1000, 1),
    "images": Check("damaged photos: read or refused", images, 10_000, 1),
    "archives": Check("damaged archives: read or refused, nothing outside", archives, 5_000, 3),
    "damage": Check("damaged files of runs, datasets, projects", damage, 2_000, 6),
    "trainings": Check("trainings in one server: memory < 50 MB more", many_trainings, 50, 5),
    "two": Check("same seed, two runs at once: equal weights", two_at_once, 10, 1),
}


@click.command()
@click.option(
    "--minutes", type=float, default=60.0, show_default=True, help="Time limit; no trial starts later."
)
@click.option("--only", "names", multiple=True, type=click.Choice(list(CHECKS)), help="Run only this check.")
@click.option("--share", type=float, default=1.0, show_default=True, help="Share of the trials to run.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--backbone", default=DEFAULT_BACKBONE, show_default=True, help="For the trainings in one server."
)
def main(minutes: float, names: tuple[str, ...], share: float, seed: int, backbone: str) -> None:
    """Run the checks, print a row for each, and exit with 1 if any failed or did not finish."""
    click.echo(machine())
    chosen = {name: CHECKS[name] for name in names or CHECKS}
    seconds_of_weight = 60 * minutes / sum(check.weight for check in chosen.values())
    reports = []
    # Each check starts when the previous one ends, so that unused time goes to later checks.
    ends_at = time.monotonic()
    for check in chosen.values():
        ends_at += check.weight * seconds_of_weight
        num_trials = max(round(share * check.num_trials), 2)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            report = check.run(Budget(Path(folder), num_trials, seed, ends_at, backbone))
        reports.append(report)
        click.echo(_row(check.title, report))
        for failure in report.failures[:10]:
            click.echo(f"    {failure}")
    sys.exit(0 if all(report.is_reached for report in reports) else 1)


def _row(title: str, report: Report) -> str:
    passed = report.num_done - min(len(report.failures), report.num_done)
    verdict = "reached" if report.is_reached else "NOT reached"
    return f"{title:<55} {passed:>6} of {report.num_wanted:<6} {verdict:<12} {report.note}".rstrip()


if __name__ == "__main__":
    main()
