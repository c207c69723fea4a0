"""Shared by all checks: trials within a time budget, and processes forked with TensorFlow loaded."""

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
    """Limits of a check.

    Args:
        folder: Empty folder for the files of the check.
        num_trials: Number of trials.
        seed: Seed of all random choices.
        ends_at: Time of `time.monotonic` after which no trial starts.
        backbone: Backbone of the trainings in one server.
    """

    folder: Path
    num_trials: int
    seed: int
    ends_at: float
    backbone: str

    def draws(self, trial: int) -> np.random.Generator:
        """Return the random generator of one trial, so that the trial can be repeated alone."""
        return np.random.default_rng([self.seed, trial])


@dataclass
class Report:
    """Result of a check.

    Args:
        num_wanted: Requested trials.
        num_done: Trials that were run within the time.
        failures: One sentence per failed trial.
        note: Other measurements, for the table.
    """

    num_wanted: int
    num_done: int = 0
    failures: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether all requested trials were run and none failed."""
        return self.num_done >= self.num_wanted and not self.failures


def try_often(budget: Budget, trial: Callable[[int], str], numbers: range | None = None) -> Report:
    """Run trials until all are done or the time is over.

    Args:
        budget: Number of trials and time limit.
        trial: Function of the trial number that returns the failure, or an empty string.
        numbers: Trial numbers; by default all from 0.
    """
    numbers = range(budget.num_trials) if numbers is None else numbers
    report = Report(len(numbers))
    for number in numbers:
        if time.monotonic() > budget.ends_at:
            break
        problem = trial(number)
        report.num_done += 1
        if problem:
            report.failures.append(f"trial {number}: {problem}")
    return report


def processes() -> Any:
    """Return a `multiprocessing` context that forks processes with TensorFlow loaded."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.endurance.preload"])
    return context


def start(work: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a function in a new process."""
    process: BaseProcess = processes().Process(target=work, args=arguments)
    process.start()
    return process


def run(work: Callable[..., object], *arguments: object) -> int:
    """Run a function in a new process and return the exit code."""
    process = start(work, *arguments)
    process.join()
    code: int | None = process.exitcode
    process.close()
    assert code is not None
    return code


def call_in_process(work: Callable[..., Any], *arguments: object) -> Any:
    """Run a function in a new process and return its result, which must be picklable.

    Raises:
        ChildProcessError: If the process ended without a result.
    """
    receiver, sender = processes().Pipe(duplex=False)
    process = processes().Process(target=_send_result, args=(sender, work, arguments))
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


def _send_result(sender: Any, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    sender.send(work(*arguments))
    sender.close()
