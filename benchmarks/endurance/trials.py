"""What every check shares: its trials, its time, and processes that start at once."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Budget:
    """How much a check may do.

    Args:
        folder: Empty, for whatever the check writes.
        num_trials: How often it tries.
        seed: Fixes every random choice of it.
        ends_at: By `time.monotonic`; no trial begins later.
        backbone: Of the trainings that are to be as large as a person's.
    """

    folder: Path
    num_trials: int
    seed: int
    ends_at: float
    backbone: str

    def draws(self, trial: int) -> np.random.Generator:
        """Return the random choices of one trial, so that it can be repeated alone."""
        return np.random.default_rng([self.seed, trial])


@dataclass
class Report:
    """What a check saw.

    Args:
        num_wanted: Trials that were asked for.
        num_done: Trials that were made before the time was over.
        failures: One sentence for each trial that went wrong.
        note: Whatever else was measured.
    """

    num_wanted: int
    num_done: int = 0
    failures: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether every trial was made and none went wrong."""
        return self.num_done >= self.num_wanted and not self.failures


def try_often(budget: Budget, trial: Callable[[int], str], numbers: range | None = None) -> Report:
    """Make trials until all are done or the time is over.

    Args:
        budget: How many, how long.
        trial: Takes its number; returns what went wrong, or nothing.
        numbers: Of the trials; all from 0 if not given.
    """
    numbers = range(budget.num_trials) if numbers is None else numbers
    report = Report(len(numbers))
    for number in numbers:
        if time.monotonic() > budget.ends_at:
            break
        wrong = trial(number)
        report.num_done += 1
        if wrong:
            report.failures.append(f"trial {number}: {wrong}")
    return report


def processes() -> Any:
    """Return the `multiprocessing` context whose processes are forked with TensorFlow in them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.endurance.preload"])
    return context


def start(work: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a function in a process of its own."""
    process: BaseProcess = processes().Process(target=work, args=arguments)
    process.start()
    return process


def run(work: Callable[..., object], *arguments: object) -> int:
    """Run a function in a process of its own and return its exit code."""
    process = start(work, *arguments)
    process.join()
    code: int | None = process.exitcode
    process.close()
    assert code is not None
    return code


def ask(work: Callable[..., Any], *arguments: object) -> Any:
    """Run a function in a process of its own and return what it returned, which JSON must be able to hold.

    Raises:
        ChildProcessError: If the process ended without an answer.
    """
    receiver, sender = processes().Pipe(duplex=False)
    process = processes().Process(target=_answer, args=(sender, work, arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError as error:
        process.join()
        raise ChildProcessError(f"{work.__name__} ended with code {process.exitcode}") from error
    finally:
        process.join()
        process.close()


def _answer(sender: Any, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    sender.send(work(*arguments))
    sender.close()
