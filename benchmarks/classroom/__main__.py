"""A class of thirty on one server: how long pages take, what is lost, and who comes back where.

Start the real app in class mode. Thirty people speak Streamlit's own protocol over websockets, three more use real
browsers; all have an own workspace with photos and a model. Everything ends by itself; only figures of one run are
comparable, and all people run on the same computer as the server. Exits with 1 if something was lost.

Example:
    python -m benchmarks.classroom
    python -m benchmarks.classroom --people 5 --only answers --seconds 10
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmarks.classroom.browsing import browse, browse_in_browsers, close_tabs, open_tabs
from benchmarks.classroom.first_load import load_first
from benchmarks.classroom.pupils import NUM_PHOTOS, Pupil, jpeg_photos, let_join
from benchmarks.classroom.report import Report, seconds_words
from benchmarks.classroom.returns import come_back_after_a_kill, come_back_from_everything
from benchmarks.classroom.server import ClassServer
from benchmarks.classroom.starts import LongTraining, seconds_of_one, start_all
from benchmarks.classroom.tab import LostAnswer
from benchmarks.classroom.uploads import upload
from benchmarks.photos import machine
from transfer_core.workspace import Workspace

if TYPE_CHECKING:
    from playwright.async_api import Browser

_SCENARIOS = ("first-load", "uploads", "starts", "answers", "returns")
_NUM_TRAININGS = 3  # the first runs, two wait
_SESSION_SECONDS = 40
_EPOCHS_BEFORE = 3
_MOST_SECONDS_TO_BEGIN = 90
_MOST_SECONDS_OF_STARTS = 400.0
_SECONDS_TO_LOAD = 20
# The server gives memory back every ten seconds.
_SECONDS_AFTER_EXPIRY = 15
_SECONDS_TO_CALM_DOWN = 2
_GOAL_P95, _GOAL_SLOWED, _GOAL_MEGABYTES = 1.0, 25, 10


@dataclass
class _Class:
    """What every scenario needs.

    Args:
        server: In class mode.
        pupils: Those over websockets, then those with real browsers.
        num_browsers: How many of the last have one.
        chromium: Their program; None without real browsers.
        report: Gets the figures.
    """

    server: ClassServer
    pupils: Sequence[Pupil]
    num_browsers: int
    chromium: Browser | None
    report: Report

    @property
    def in_tabs(self) -> Sequence[Pupil]:
        """Those without a real browser."""
        return self.pupils[: len(self.pupils) - self.num_browsers]

    async def browse(self, seconds: float) -> tuple[list[float], list[float]]:
        """Let everyone click for a while. Returns the seconds of each answer, in tabs and in real browsers."""
        in_browsers = self.pupils[len(self.in_tabs) :] if self.chromium else []
        in_tabs, drawn = await asyncio.gather(
            browse(self.in_tabs, seconds, self.report),
            _browse_in_browsers(self.chromium, in_browsers, seconds, self.report),
        )
        return in_tabs, drawn


@click.command()
@click.option("--people", default=30, show_default=True, help="Over websockets.")
@click.option("--browsers", default=3, show_default=True, help="People with a real browser, beside these.")
@click.option(
    "--only", "wanted", multiple=True, type=click.Choice(_SCENARIOS), help="By default all, in this order."
)
@click.option("--seconds", default=25.0, show_default=True, help="Of each part in which people click.")
@click.option(
    "--within", default=30.0, show_default=True, help="Seconds in which everyone starts a training."
)
@click.option("--drop", default=20.0, show_default=True, help="Seconds without a network.")
@click.option(
    "--at-most", default=600.0, show_default=True, help="Seconds after which the benchmark gives up."
)
@click.option("--log", type=click.Path(path_type=Path), help="File that gets what the server writes.")
@click.option("--browser", default=lambda: shutil.which("chromium"), help="Program file of a Chromium.")
def main(at_most: float, **options: Any) -> None:
    """Print the figures as a table, and what was lost."""
    click.echo(machine())
    report = Report()
    began_at = time.perf_counter()
    try:
        asyncio.run(asyncio.wait_for(_run(report, **options), at_most))
    except (TimeoutError, asyncio.TimeoutError):  # two classes before Python 3.11
        report.lost(f"The benchmark had not ended after {at_most:.0f} s and was given up.")
    except (LostAnswer, RuntimeError, LookupError) as error:
        report.lost(f"The benchmark was given up: {error}")
    click.echo(report.table())
    click.echo(f"The whole run took {time.perf_counter() - began_at:.0f} s.")
    for problem in report.problems:
        click.echo(f"Lost: {problem}", err=True)
    sys.exit(1 if report.problems else 0)


async def _run(
    report: Report,
    people: int,
    browsers: int,
    wanted: Sequence[str],
    seconds: float,
    within: float,
    drop: float,
    log: Path | None,
    browser: str | None,
) -> None:
    scenarios = wanted or _SCENARIOS
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        async with AsyncExitStack() as stack:
            chromium = await stack.enter_async_context(_chromium(browser)) if browser and browsers else None
            server = ClassServer(
                Workspace(scratch / "class"), log or scratch / "server.log", _SESSION_SECONDS
            )
            stack.enter_context(server)
            pupils = await asyncio.to_thread(let_join, server, people + browsers)
            stack.push_async_callback(close_tabs, pupils)
            group = _Class(server, pupils, browsers, chromium, report)
            if "first-load" in scenarios and chromium:
                await load_first(chromium, group.in_tabs, report)
            await _warm_up(group)
            memory = _Memory(server)
            if "uploads" in scenarios:
                await upload(group.in_tabs, jpeg_photos(NUM_PHOTOS), report)
                memory.measure("uploads")
            if "starts" in scenarios:
                alone = await seconds_of_one(group.in_tabs[0], report)
                await start_all(group.in_tabs, within, _MOST_SECONDS_OF_STARTS, alone, report)
                memory.measure("starts")
            if "answers" in scenarios:
                await _measure_answers(group, seconds)
                memory.measure("answers")
            if "returns" in scenarios:
                await come_back_from_everything(server, group.in_tabs, drop / 2, drop, report)
            await close_tabs(pupils)
            await _measure_what_is_given_back(group, memory)
            if "answers" in scenarios or "returns" in scenarios:
                await _measure_beside_training(group, seconds, scenarios)
            report.problems += [f"The server wrote: {line}" for line in server.problems()]


async def _warm_up(group: _Class) -> None:
    """Let one person see every page, and the server load everything that it needs for that."""
    tab = group.pupils[0].tab
    await tab.open(query=group.pupils[0].choices)
    # Also what a page loads in the background.
    until = time.perf_counter() + _SECONDS_TO_LOAD
    for name in tab.screen.names_of_pages() * 2:
        await tab.go_to(name)
    while time.perf_counter() < until and group.server.is_busy():
        await asyncio.sleep(1)
    await tab.close()


async def _measure_answers(group: _Class, seconds: float) -> None:
    """Let everyone click while nothing is trained."""
    await open_tabs(group.in_tabs, group.report)
    processor, began_at = group.server.processor_seconds(), time.perf_counter()
    in_tabs, drawn = await group.browse(seconds)
    _add_answers(group.report, "without a training", in_tabs, drawn)
    share = (group.server.processor_seconds() - processor) / (time.perf_counter() - began_at)
    num_answers = max(len(in_tabs) + len(drawn), 1)
    group.report.add(
        "the server meanwhile",
        f"{share:.2f} cores, {1000 * share * seconds / num_answers:.0f} ms of processor time an answer",
    )


async def _measure_what_is_given_back(group: _Class, memory: _Memory) -> None:
    """Wait until the sessions of those who left have expired, and measure what is left of their memory."""
    await asyncio.sleep(_SESSION_SECONDS + _SECONDS_AFTER_EXPIRY)
    memory.report(group.report, len(group.pupils))


async def _measure_beside_training(group: _Class, seconds: float, scenarios: Sequence[str]) -> None:
    """Let everyone click while one training runs and two wait; then kill the server in the middle of it."""
    trainers, others = group.in_tabs[:_NUM_TRAININGS], group.in_tabs[_NUM_TRAININGS:]
    trainings = [LongTraining(pupil) for pupil in trainers]
    running = trainings[0]
    for training in trainings:
        await training.start()
    await _wait_for_epochs(running, _EPOCHS_BEFORE)
    if "answers" in scenarios:
        await close_tabs(trainers)
        alone = [await _speed_alone(running, seconds / 2)]
        await open_tabs(others, group.report)
        for training in trainings:
            await training.pupil.tab.open("Train", f"run={training.run.id}")
        since = time.time()
        in_tabs, drawn = await group.browse(seconds)
        beside = running.epochs_a_second(since, time.time())
        await close_tabs(group.pupils)
        alone.append(await _speed_alone(running, seconds / 2))
        _add_answers(group.report, "with one training and two in the queue", in_tabs, drawn)
        mean = statistics.fmean(alone)
        slowed = 100 * (mean / beside - 1) if beside else float("inf")
        group.report.add(
            "the training beside them takes longer than alone by",
            f"{slowed:.0f} % (alone {alone[0]:.2f} and {alone[1]:.2f} epochs a second)",
            f"less than {_GOAL_SLOWED} %",
        )
    if "returns" in scenarios:
        await open_tabs(group.in_tabs, group.report)
        await come_back_after_a_kill(group.server, group.in_tabs, running, group.report)


async def _speed_alone(training: LongTraining, seconds: float) -> float:
    await asyncio.sleep(_SECONDS_TO_CALM_DOWN)
    since = time.time()
    await asyncio.sleep(seconds)
    return training.epochs_a_second(since, time.time())


async def _wait_for_epochs(training: LongTraining, count: int) -> None:
    until = time.perf_counter() + _MOST_SECONDS_TO_BEGIN
    while training.num_epochs() < count:
        if time.perf_counter() > until:
            raise LostAnswer("The long training did not begin.")
        await asyncio.sleep(0.5)


def _add_answers(report: Report, when: str, in_tabs: Sequence[float], drawn: Sequence[float]) -> None:
    report.add(f"answers of pages {when}", seconds_words(in_tabs), f"p95 at most {_GOAL_P95:.0f} s")
    if drawn:
        report.add(f"the same in real browsers, until drawn, {when}", seconds_words(drawn))


async def _browse_in_browsers(
    chromium: Browser | None, pupils: Sequence[Pupil], seconds: float, report: Report
) -> list[float]:
    return await browse_in_browsers(chromium, pupils, seconds, report) if chromium else []


@asynccontextmanager
async def _chromium(program: str) -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            await chromium.close()


class _Memory:
    """The server's memory at some moments, beginning after it has loaded everything.

    Args:
        server: Is measured.
    """

    def __init__(self, server: ClassServer) -> None:
        self._server = server
        self._before = server.memory()
        self._grown: dict[str, int] = {}

    def measure(self, moment: str) -> None:
        """Remember how far it has grown by now."""
        self._grown[moment] = self._server.memory() - self._before

    def report(self, report: Report, num_people: int) -> None:
        """Add the growth per person at each moment, and what is left of it now."""
        left = self._server.memory() - self._before
        for moment, grown in self._grown.items():
            report.add(
                f"memory of the server after {moment}, for each of {num_people} people",
                f"{grown / num_people / 10**6:.1f} MB",
                f"below {_GOAL_MEGABYTES} MB",
            )
        report.add(
            "of it after they have left",
            f"{left / num_people / 10**6:.1f} MB (server {left / 10**6:+.0f} MB)",
            "0",
        )


if __name__ == "__main__":
    main()
