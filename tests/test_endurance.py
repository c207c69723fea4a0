"""Each check of the endurance benchmark passes with a few trials."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks.endurance.__main__ import CHECKS
from benchmarks.endurance.trials import Budget

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that fork")

# At least one trial per kind of training and of writing, and two of four interruptions per kind of training.
NUM_TRIALS = {
    "kills": 6,
    "interruptions": 8,
    "writes": 5,
    "edits": 40,
    "images": 400,
    "archives": 200,
    "damage": 30,
    "trainings": 11,
    "two": 2,
}


@pytest.mark.parametrize("name", CHECKS)
def test_nothing_is_lost(name: str, tmp_path: Path) -> None:
    budget = Budget(
        tmp_path, NUM_TRIALS[name], seed=3, ends_at=time.monotonic() + 600, backbone="tiny_random"
    )

    report = CHECKS[name].run(budget)

    assert report.failures == []
    assert report.num_done == NUM_TRIALS[name]
