"""A laptop that sleeps, a Wi-Fi that drops, a server that is killed: whether everyone comes back where they were."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from benchmarks.classroom.browsing import noting, open_tabs
from benchmarks.classroom.pupils import Pupil
from benchmarks.classroom.report import Report
from benchmarks.classroom.server import ClassServer
from benchmarks.classroom.starts import LongTraining

_TRAINING_GOES_ON_WITHIN = 60  # seconds
_PAGES = ("2 · Images", "5 · Results", "6 · Test")


async def come_back_from_everything(
    server: ClassServer, pupils: Sequence[Pupil], sleep: float, drop: float, report: Report
) -> None:
    """Let connections break in each way and count who is back where they were.

    Args:
        server: Keeps the sessions of closed tabs for longer than `sleep` and `drop`.
        pupils: Everyone.
        sleep: Seconds for which the laptops sleep.
        drop: Seconds without a network.
        report: Gets the figures.
    """
    await open_tabs(pupils, report)
    for place, pupil in enumerate(pupils):
        with noting(pupil, report):
            await pupil.tab.go_to(_PAGES[place % len(_PAGES)])
    for pupil in pupils:
        await pupil.tab.close()
    await asyncio.sleep(sleep)
    await _come_back(pupils, f"laptops that slept for {sleep:.0f} s", report, is_same_session=True)
    for pupil in pupils:
        await pupil.tab.cut_off()
    await asyncio.sleep(drop)
    await _come_back(pupils, f"a network that was away for {drop:.0f} s", report, is_same_session=True)


async def come_back_after_a_kill(
    server: ClassServer, pupils: Sequence[Pupil], training: LongTraining, report: Report
) -> None:
    """Kill the server in the middle of a training, start it again, and count who is back where they were.

    Args:
        server: Is killed.
        pupils: Everyone, with an open tab.
        training: Runs now.
        report: Gets the figures.
    """
    num_before = training.num_epochs()
    await asyncio.to_thread(server.kill)
    began_at = time.perf_counter()
    await asyncio.to_thread(server.start)
    seconds = time.perf_counter() - began_at
    await _come_back(
        pupils, f"a server that was killed (up again after {seconds:.1f} s)", report, is_same_session=False
    )
    # Some epochs are trained again: those since the last checkpoint.
    until = time.perf_counter() + _TRAINING_GOES_ON_WITHIN
    while training.num_epochs() <= num_before and time.perf_counter() < until:
        await asyncio.sleep(0.5)
    goes_on = training.num_epochs() > num_before
    waited = time.perf_counter() - began_at
    report.add(
        "the training that ran when the server was killed",
        f"is past epoch {num_before} again after {waited:.0f} s" if goes_on else "does not go on",
        "goes on by itself",
    )
    if not goes_on:
        report.lost("The training that ran when the server was killed did not go on by itself.")


async def _come_back(pupils: Sequence[Pupil], what: str, report: Report, *, is_same_session: bool) -> None:
    addresses = [pupil.tab.screen.address for pupil in pupils]
    sessions = [pupil.tab.screen.session_id for pupil in pupils]
    began_at = time.perf_counter()

    async def come_back(pupil: Pupil) -> None:
        with noting(pupil, report):
            await pupil.tab.come_back()

    await asyncio.gather(*map(come_back, pupils))
    seconds = time.perf_counter() - began_at
    num_back = 0
    for pupil, address, session in zip(pupils, addresses, sessions, strict=True):
        screen = pupil.tab.screen
        is_there = screen.address == address and pupil.sees_own_place()
        if is_there and (screen.session_id == session or not is_same_session):
            num_back += 1
        else:
            report.lost(f"{pupil.name} was not back where they were after {what}.")
    report.add(what, f"{num_back} of {len(pupils)} people are back, after {seconds:.1f} s", "everyone")
