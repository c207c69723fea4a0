"""`compare` and `sweep` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from transfer_core.cli.main import main
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.sweep_plan import SWEEP
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

Run = Callable[..., tuple[int, str, str]]
TINY = ("--backbone", "tiny_random", "--epochs", "1", "--batch-size", "6")


@pytest.fixture
def run(
    session_workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    def run_command(*arguments: object) -> tuple[int, str, str]:
        command = ["transfer_core", *map(str, arguments), "--workspace", str(session_workspace.root)]
        monkeypatch.setattr("sys.argv", command)
        code = main()
        return code, *capfd.readouterr()

    return run_command


@dataclass
class Sweep:
    """What a finished sweep printed, on standard output and on standard error."""

    facts: dict[str, Any]
    err: str


@pytest.fixture(scope="module")
def sweeps() -> list[Sweep]:
    """Holds the sweep of this file once it was trained."""
    return []


@pytest.fixture
def sweep(run: Run, color_dataset: ImageDataset, sweeps: list[Sweep]) -> Sweep:
    """A sweep of two depths, twice each."""
    if not sweeps:
        code, out, err = run(
            "sweep", color_dataset.id, *TINY, "--depth", 0, "--depth", 2, "--repeats", 2, "--json"
        )
        assert code == 0, err
        sweeps.append(Sweep(json.loads(out), err))
    return sweeps[0]


def test_a_sweep_trains_each_depth_and_names_the_best_trade_off(
    color_dataset: ImageDataset, session_workspace: Workspace, sweep: Sweep
) -> None:
    facts = sweep.facts
    assert [point["num_unfrozen_blocks"] for point in facts["points"]] == [0, 2]
    assert all(len(point["accuracies"]) == 2 and point["seconds"] > 0 for point in facts["points"])
    assert facts["best_num_unfrozen_blocks"] in (0, 2)
    assert facts["dataset_id"] == color_dataset.id and len(facts["run_ids"]) == 4
    assert sweep.err.count("epoch 1: loss") >= 4
    for run_id in facts["run_ids"]:
        assert (session_workspace.run_dir(run_id) / SWEEP.name).is_file()


def test_a_sweep_goes_on_with_what_is_missing(
    run: Run, color_dataset: ImageDataset, session_workspace: Workspace, sweep: Sweep
) -> None:
    gone = session_workspace.run_dir(sweep.facts["run_ids"][0])
    in_trash = gone.rename(session_workspace.trash_dir / gone.name)
    code, out, err = run("sweep", color_dataset.id, "--resume", sweep.facts["sweep_id"], "--json")
    in_trash.rename(gone)
    assert code == 0, err
    again = json.loads(out)
    assert gone.name not in again["run_ids"] and len(again["run_ids"]) == 4
    assert err.count("blocks learn, seed") == 1
    accuracies = [point["accuracies"] for point in again["points"]]
    assert accuracies == [point["accuracies"] for point in sweep.facts["points"]]


def test_two_runs_are_compared(run: Run, session_workspace: Workspace, sweep: Sweep) -> None:
    runs = [TrainingRun.load(session_workspace, run_id) for run_id in sweep.facts["run_ids"]]
    by_choice = {(one.config.num_unfrozen_blocks, one.config.seed): one for one in runs}
    before, after = by_choice[0, 1], by_choice[2, 1]
    code, out, err = run("compare", before.id, after.id, "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["difference"] == "The only difference is the depth of fine-tuning."
    assert facts["num_images"] == 6 and facts["num_left_out"] == 0
    assert 0 <= facts["mcnemar_p_value"] <= 1 and facts["verdict"]
    code, out, _err = run("compare", before.id, before.id)
    assert "Nothing differs" in out and "very same photos" in out


def test_wrong_orders_are_one_sentence(run: Run, color_dataset: ImageDataset) -> None:
    unknown = "20261122-140512-0123456789abcdef"
    for order in (
        ("compare", unknown, unknown),
        ("sweep", color_dataset.id, "--resume", unknown),
        ("sweep", color_dataset.id, *TINY, "--depth", 1),
        ("sweep", color_dataset.id, *TINY, "--depth", 1, "--depth", 50),
    ):
        code, out, err = run(*order)
        assert code == 1 and out == ""
        assert err.startswith("Error: ") and len(err.splitlines()) == 1
