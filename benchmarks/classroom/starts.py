"""Trainings: thirty that are started within a minute, and a long one beside which people work."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.classroom.browsing import noting
from benchmarks.classroom.pupils import Pupil, jpeg_photos
from benchmarks.classroom.report import Report
from benchmarks.classroom.tab import Tab
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.upload import uploaded_file
from transfer_core.events import EpochEnded, RunEnded, RunStarted
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

_NUM_RUNS_OF_THE_GREEDY = 3
_NUM_PHOTOS_OF_A_CLASS = 40
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Started:
    """A run that somebody started.

    Args:
        pupil: Who.
        run: The run.
        queued_at: When it was in the queue, in seconds since 1970.
    """

    pupil: Pupil
    run: TrainingRun
    queued_at: float

    @property
    def began_at(self) -> float | None:
        """When it left the queue, in seconds since 1970; None before."""
        times = [event.time for event in self.run.events() if isinstance(event, RunStarted)]
        return times[0] if times else None

    @property
    def outcome(self) -> str:
        """How it ended; empty before."""
        ends = [event.outcome for event in self.run.events() if isinstance(event, RunEnded)]
        return ends[-1] if ends else ""


async def start_all(
    pupils: Sequence[Pupil], within: float, most_seconds: float, seconds_alone: float, report: Report
) -> None:
    """Let everyone start a small training, one person three of them first, and wait for all.

    Args:
        pupils: The first one is greedy.
        within: Seconds in which the others press the button.
        most_seconds: Seconds after which a training that has not ended is lost.
        seconds_alone: How long such a training takes alone, for the report.
        report: Gets the figures.
    """
    greedy, *others = pupils
    draw = random.Random(0)
    began_at = time.perf_counter()
    started = [one for _number in range(_NUM_RUNS_OF_THE_GREEDY) for one in await _start(greedy, 0, report)]
    found = await asyncio.gather(*(_start(pupil, draw.uniform(0, within), report) for pupil in others))
    started += [one for some in found for one in some]
    until = began_at + most_seconds
    while time.perf_counter() < until and not all(one.outcome for one in started):
        await asyncio.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - began_at
    for one in started:
        if one.outcome != "finished":
            report.lost(
                f"The training of {one.pupil.name} did not finish: {one.outcome or 'it has not ended'}."
            )
    ordered = sorted((one for one in started if one.began_at), key=lambda one: one.began_at or 0.0)
    places = [place for place, one in enumerate(ordered, 1) if one.pupil is greedy]
    num_finished = sum(one.outcome == "finished" for one in started)
    ratio = seconds / max(len(started), 1) / seconds_alone
    report.add(
        f"{len(started)} trainings of 20 photos started within {within:.0f} s",
        f"{num_finished} finished after {seconds:.0f} s; each took {ratio:.1f} times one alone",
        "all finish",
    )
    report.add(
        f"{_NUM_RUNS_OF_THE_GREEDY} of one person, started before all others: their turns",
        ", ".join(map(str, places)),
        "the others first from the second on",
    )
    for one in [one for one in ordered if one.pupil is greedy][1:]:
        began = one.began_at or 0.0
        if any(
            other.pupil is not greedy and other.queued_at < began < (other.began_at or 0.0)
            for other in started
        ):
            report.lost("One person's next training had its turn before the first of somebody who waited.")


async def seconds_of_one(pupil: Pupil, report: Report) -> float:
    """Return how long the same small training takes with nobody else, from the button to its end."""
    began_at = time.perf_counter()
    started = await _start(pupil, 0, report)
    while time.perf_counter() < began_at + 120 and not all(one.outcome for one in started):
        await asyncio.sleep(0.05)
    await pupil.tab.close()
    return time.perf_counter() - began_at


async def _start(pupil: Pupil, delay: float, report: Report) -> list[Started]:
    """Open the Train page in a new tab and press its button. Returns the run, if it could be started."""
    await asyncio.sleep(delay)
    before = set(pupil.workspace.run_ids())
    tab = Tab(pupil.tab.url, pupil.tab.cookie)
    await pupil.tab.close()
    pupil.tab = tab
    with noting(pupil, report):
        await tab.open("Train", pupil.choices.partition("&pick")[0])
        if not tab.screen.has_button("Start training"):
            report.lost(f"{pupil.name} saw no button to start a training.")
            return []
        await tab.press("Start training")
    new = [run_id for run_id in pupil.workspace.run_ids() if run_id not in before]
    if not new:
        report.lost(f"{pupil.name} pressed Start training, and nothing was started.")
    return [Started(pupil, TrainingRun.load(pupil.workspace, run_id), time.time()) for run_id in new]


class LongTraining:
    """A training that outlasts the measurement, of real network and photos, with others behind it in the queue.

    Args:
        pupil: Whose it is.
    """

    def __init__(self, pupil: Pupil) -> None:
        self.pupil = pupil
        self.run = TrainingRun.create(pupil.workspace, _many_photos(pupil.workspace), _long_config())

    async def start(self) -> None:
        """Let it go on from the page that shows it.

        Raises:
            LostAnswer: If its page does not come.
        """
        await self.pupil.tab.open("Train", f"run={self.run.id}")
        if self.pupil.tab.screen.has_button("Go on"):
            await self.pupil.tab.press("Go on")

    async def stop(self) -> None:
        """Stop it, with a press of its button."""
        screen = self.pupil.tab.screen
        for label in ("Leave the queue", "Stop and keep the model", "Cancel"):
            if screen.has_button(label):
                await self.pupil.tab.press(label)
                return

    def num_epochs(self) -> int:
        """Return the epochs that have ended."""
        return len(self.run.snapshot().epochs)

    def epochs_a_second(self, since: float, until: float) -> float:
        """Return its speed between two moments, in seconds since 1970; 0 if fewer than two epochs ended."""
        times = [event.time for event in self.run.events() if isinstance(event, EpochEnded)]
        inside = [moment for moment in times if since <= moment <= until]
        return (len(inside) - 1) / (inside[-1] - inside[0]) if len(inside) > 1 else 0.0


def _long_config() -> TrainingConfig:
    # Most of the work of an epoch is the fine-tuned blocks.
    return TrainingConfig(epochs=1, fine_tune_epochs=1000, num_unfrozen_blocks=2, batch_size=16)


def _many_photos(workspace: Workspace) -> ImageDataset:
    files = [
        uploaded_file(f"things/{name}/{number}.jpg", photo)
        for place, name in enumerate(("mug", "pen"))
        for number, photo in enumerate(jpeg_photos(_NUM_PHOTOS_OF_A_CLASS, seed=place + 1, size=(320, 240)))
    ]
    return add_files(create_dataset(workspace, "Many photos"), files)
