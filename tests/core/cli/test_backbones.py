"""The commands about backbones: list, try, build on a run, take a model elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.conftest import FinishedRun
from transfer_core.backbones.registry import list_backbones
from transfer_core.cli.main import main
from transfer_core.runs.training_run import TrainingRun

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], finished_run) -> Command:
    """`command("backbones")` gives the exit code and what was printed, in the workspace of the finished run."""

    def run_command(*arguments: object) -> tuple[int, str, str]:
        words = [*map(str, arguments), "--workspace", str(finished_run.workspace.root)]
        monkeypatch.setattr("sys.argv", ["transfer_core", *words])
        capfd.readouterr()
        return (main(), *capfd.readouterr())

    return run_command


def facts_of(finished: tuple[int, str, str]) -> dict[str, Any]:
    code, out, err = finished
    assert code == 0, err
    facts: dict[str, Any] = json.loads(out)
    return facts


def test_backbones_lists_every_entry_with_its_facts(command: Command) -> None:
    facts = facts_of(command("backbones", "--json"))["backbones"]
    published = {fact["name"]: fact for fact in facts}
    assert [name for name in published if "-" not in name] == [backbone.name for backbone in list_backbones()]
    resnet = published["resnet50"]
    assert (resnet["num_parameters"], resnet["preprocessing"], resnet["licence"]) == (
        23_587_712,
        "caffe",
        "MIT",
    )
    assert (resnet["works_offline"], published["efficientnet_lite0"]["works_offline"]) == (False, True)
    assert [block["name"] for block in resnet["blocks"]] == ["stem", "conv2", "conv3", "conv4", "conv5"]
    assert resnet["lineage"] == ["ImageNet"]
    assert "resnet50: 94.4 MB, 23.6 million parameters, 224 × 224 pixels" in command("backbones")[1]


def test_audition_of_a_dataset(command: Command, finished_run: FinishedRun) -> None:
    words = ("audition", finished_run.dataset.id, "--backbone", "tiny_random")
    facts = facts_of(command(*words, "--json"))
    (score,) = facts["scores"]
    assert facts["best_trade_off"] == score["name"] == "tiny_random"
    assert score["accuracy"] > 0.9
    assert len(score["fold_accuracies"]) == 5
    assert "Best trade-off: tiny_random" in command(*words)[1]


def test_train_builds_on_a_run_and_its_source_goes_to_another_computer(
    command: Command, finished_run: FinishedRun, tmp_path: Path
) -> None:
    run_id = finished_run.run.id
    facts = facts_of(command("train", finished_run.dataset.id, "--backbone", run_id, "--epochs", 1, "--json"))
    run = TrainingRun.load(finished_run.workspace, facts["run_id"])
    assert run.config.backbone == run_id
    assert (run.folder / "model.keras").is_file()
    saved = facts_of(command("export-source", run.id, tmp_path / "own.zip", "--json"))
    assert saved["lineage"] == ["Colours", "Tiny network for tests", "random weights"]
    taken = facts_of(command("import-source", tmp_path / "own.zip", "--json"))
    assert taken["lineage"] == saved["lineage"]
    assert taken["name"] not in (run.id, run_id)


def test_missing_weights_that_cannot_be_had_stop_a_training_with_what_to_do(
    command: Command, finished_run: FinishedRun
) -> None:
    before = finished_run.workspace.run_ids()
    code, out, err = command("train", finished_run.dataset.id, "--backbone", "mobilenet_v2")
    assert (code, out) == (1, "")
    assert "Choose a model that works offline" in err
    assert "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5" in err
    assert finished_run.workspace.run_ids() == before
    assert command("download", "mobilenet_v2")[0] == 1


@pytest.mark.parametrize("name", ["resnet9000", "../../etc", "20260101-000000-0123456789abcdef"])
def test_unknown_backbones_are_one_line(command: Command, finished_run: FinishedRun, name: str) -> None:
    code, out, err = command("train", finished_run.dataset.id, "--backbone", name)
    assert (code, out) == (1, "")
    assert "There is no backbone called" in err


def test_weights_of_another_network_are_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF")
    code, _out, err = command("import-source", tmp_path / "weights.h5", "--weights-of", "mobilenet_v3_small")
    assert code == 1
    assert "cannot be read" in err
