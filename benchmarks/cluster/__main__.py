"""A cluster: the overhead, the speed and the losses of trainings on it, and a simulation of 1,000 computers.

`--simulate` needs no Ray. It runs the parts of the app that a large cluster would wear out on this machine, with as
many runs and events as 1,000 computers would make, and prints how many they can carry and what breaks first.

Example:
    python -m benchmarks.cluster --simulate
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.cluster.head import measure_events, measure_memory, measure_placement, measure_queue
from benchmarks.cluster.listing import measure_listing
from benchmarks.cluster.load import Load
from benchmarks.cluster.report import Report
from benchmarks.photos import machine

_SIZES, _QUICK_SIZES = (1_000, 10_000, 100_000), (20, 100)
_SECONDS, _QUICK_SECONDS = 3.0, 0.02
_NUM_WAITING, _QUICK_WAITING = 1_000, 20
_QUICK_LOAD = Load(num_computers=20, num_runs=1_000)


@click.command()
@click.option("--simulate", is_flag=True, help="Simulate 1,000 computers, without Ray.")
@click.option("--part", "parts", multiple=True, help="Only this part; several times. By default all.")
@click.option("--quick", is_flag=True, help="Only try every part with small numbers, in seconds.")
@click.option("--runs", "num_runs", type=click.IntRange(1), help="Runs in the largest simulated workspace.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="On the disk to measure. By default that of temporary files.",
)
def main(
    simulate: bool, parts: tuple[str, ...], quick: bool, num_runs: int | None, folder: Path | None
) -> None:
    """Print the figures as a table, and as one line of JSON."""
    click.echo(machine())
    report = Report()
    began_at = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        known = _simulated(Path(scratch), report, quick, num_runs)
        for unknown in set(parts) - set(known):
            raise click.BadParameter(
                f"{unknown} is no part. Choose of {', '.join(known)}.", param_hint="--part"
            )
        for name in parts or known:
            known[name]()
            click.echo(f"{name}: done after {time.perf_counter() - began_at:.0f} s", err=True)
    click.echo(report.table())
    click.echo("\nBreaks first:\n" + report.breaks_first())
    for problem in report.problems:
        click.echo(f"Lost: {problem}", err=True)
    click.echo(report.as_json())
    sys.exit(1 if report.problems else 0)


def _simulated(
    folder: Path, report: Report, is_quick: bool, num_runs: int | None
) -> dict[str, Callable[[], None]]:
    """Return the parts of the simulation by their names."""
    load = _QUICK_LOAD if is_quick else Load()
    seconds = _QUICK_SECONDS if is_quick else _SECONDS
    sizes = _QUICK_SIZES if is_quick else _SIZES
    largest = num_runs or sizes[-1]
    runs = (*(size for size in sizes if size < largest), largest)
    num_waiting = _QUICK_WAITING if is_quick else _NUM_WAITING
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
