"""A cluster: the overhead, the speed and the losses of trainings on it, and a simulation of 1,000 computers.

`--simulate` needs no Ray. It runs the parts of the app that a large cluster would wear out on this machine, with as
many runs and events as 1,000 computers would make, and prints how many they can carry and what breaks first.

Without it, clusters of some nodes are started on this computer, one after the other, and ended afterwards.

Example:
    python -m benchmarks.cluster
    python -m benchmarks.cluster --simulate
"""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.cluster.head import measure_events, measure_memory, measure_placement, measure_queue
from benchmarks.cluster.kills import measure_kills
from benchmarks.cluster.listing import measure_listing
from benchmarks.cluster.load import Load
from benchmarks.cluster.report import Report
from benchmarks.cluster.simulated_runs import measure_head
from benchmarks.cluster.speed import measure_overhead, measure_sizes, measure_sweep, measure_two_nodes
from benchmarks.photos import machine
from transfer_core.errors import InvalidConfigError
from transfer_core.work.cluster.settings import check_ray

_SIZES, _QUICK_SIZES = (1_000, 10_000, 100_000), (20, 100)
_SECONDS, _QUICK_SECONDS = 3.0, 0.02
_NUM_WAITING, _QUICK_WAITING = 1_000, 20
_RUNS, _QUICK_RUNS = 200, 4
_RUN_SECONDS, _QUICK_RUN_SECONDS = 60.0, 3.0
_QUICK_KILLS = 1
# No other training is begun then.
_SECONDS_OF_KILLS = 900.0
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_QUICK_LOAD = Load(num_computers=20, num_runs=1_000)


@click.command()
@click.option("--simulate", is_flag=True, help="Simulate 1,000 computers, without Ray.")
@click.option("--part", "wanted", multiple=True, help="Only this part; several times. By default all.")
@click.option("--quick", is_flag=True, help="Only try every part with small numbers.")
@click.option("--runs", "num_runs", type=click.IntRange(1), help="Runs in the largest simulated workspace.")
@click.option("--kills", "num_kills", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", default=1, show_default=True, help="Of the kills.")
@click.option(
    "--data", "photos", type=_FOLDER, help="Folder of class folders. By default the app's first sample."
)
@click.option("--folder", type=_FOLDER, help="On the disk to use. By default that of temporary files.")
def main(wanted: tuple[str, ...], folder: Path | None, simulate: bool, **options: Any) -> None:
    """Print the figures as a table, and as one line of JSON."""
    report = Report()
    began_at = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder, prefix="c") as scratch:
        parts = (_simulated if simulate else _measured)(Path(scratch), report, **options)
        for unknown in set(wanted) - set(parts):
            known = ", ".join(parts)
            raise click.BadParameter(f"{unknown} is no part. Choose of {known}.", param_hint="--part")
        click.echo(machine())
        if not simulate:
            _check_ray()
        for name in wanted or parts:
            try:
                parts[name]()
            except Exception as error:
                # Unattended, the other parts shall still be measured.
                logging.getLogger(__name__).exception("The part %s failed", name)
                report.lost(f"The part {name} was given up: {error}")
            click.echo(f"{name}: done after {time.perf_counter() - began_at:.0f} s", err=True)
            click.echo(report.table(), err=True)
    click.echo(report.table())
    if simulate:
        click.echo("\nBreaks first:\n" + report.breaks_first())
    for problem in report.problems:
        click.echo(f"Lost: {problem}", err=True)
    click.echo(report.as_json())
    sys.exit(1 if report.problems else 0)


def _check_ray() -> None:
    try:
        check_ray()
    except InvalidConfigError as error:
        raise click.ClickException(str(error)) from error


def _measured(
    folder: Path,
    report: Report,
    quick: bool,
    photos: Path | None,
    num_kills: int,
    seed: int,
    num_runs: int | None,
) -> dict[str, Callable[[], None]]:
    """Return the parts with a real cluster by their names."""
    del num_runs
    kills = _QUICK_KILLS if quick else num_kills
    runs, seconds = (_QUICK_RUNS, _QUICK_RUN_SECONDS) if quick else (_RUNS, _RUN_SECONDS)
    return {
        "overhead": lambda: measure_overhead(folder / "o", photos, quick, report),
        "nodes": lambda: measure_two_nodes(folder / "n", photos, quick, report),
        "sweep": lambda: measure_sweep(folder / "s", photos, quick, report),
        "sizes": lambda: measure_sizes(folder / "z", photos, quick, report),
        "kills": lambda: measure_kills(folder / "k", kills, _SECONDS_OF_KILLS, seed, report),
        "head": lambda: measure_head(folder / "h", runs, seconds, report),
    }


def _simulated(
    folder: Path, report: Report, quick: bool, num_runs: int | None, **_of_others: Any
) -> dict[str, Callable[[], None]]:
    """Return the parts of the simulation by their names."""
    load = _QUICK_LOAD if quick else Load()
    seconds = _QUICK_SECONDS if quick else _SECONDS
    sizes = _QUICK_SIZES if quick else _SIZES
    largest = num_runs or sizes[-1]
    runs = (*(size for size in sizes if size < largest), largest)
    num_waiting = _QUICK_WAITING if quick else _NUM_WAITING
    click.echo(load.sentence)
    return {
        # First, as long as no memory of other parts could be used again.
        "memory": lambda: measure_memory(folder / "memory", load, num_waiting, report),
        "events": lambda: measure_events(folder / "events", load, seconds, report),
        "queue": lambda: measure_queue(folder / "queues", load, sizes, seconds, report),
        "placement": lambda: measure_placement(load, seconds, report),
        "listing": lambda: measure_listing(folder / "listing", load, runs, report),
    }


if __name__ == "__main__":
    main()
