"""Each check of the endurance benchmark passes with a few trials."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks.endurance.__main__ import CHECKS
from benchmarks.endurance.trials import Budget

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")

# Two kinds of training are killed, each of four is disturbed in one of four ways, each kind of writing fails once.
# All kinds and hundreds of trials: `python -m benchmarks.endurance`.
NUM_TRIALS = {
    "kills": 2,
    "interruptions": 4,
    "writes": 5,
    "edits": 20,
    "images": 200,
    "archives": 100,
    "damage": 16,
    "trainings": 2,
    "two": 1,
}


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    budget = Budget(
        tmp_path, NUM_TRIALS[name], seed=3, ends_at=time.monotonic() + 600, backbone="tiny_random"
    )

    report = CHECKS[name].run(budget)

    assert report.failures == []
    assert report.num_done == NUM_TRIALS[name]
