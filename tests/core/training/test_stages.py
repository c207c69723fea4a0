"""The stages of a run with their times, and the rates that earlier runs leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import MeasuredStage, PhaseStarted, RunStarted, Stage
from transfer_core.training.schedule import planned_phases
from transfer_core.training.stages import (
    RATES_FILE,
    estimated_seconds,
    measured_seconds,
    planned_stages,
    rates_version,
    remember_rates,
    remember_run,
)
from transfer_core.training.train import train
from transfer_core.workspace import Workspace, new_id


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"num_unfrozen_blocks": 1},
        {"augmentation": "light", "live_augmentation": True},
        {"train_on_all": True},
    ],
    ids=["head", "fine-tune", "live", "all photos"],
)
def test_every_phase_of_a_training_is_planned(choices, color_dataset, tiny_config, tmp_path) -> None:
    events: list[Any] = []
    config = tiny_config.with_changes(epochs=1, fine_tune_epochs=1, **choices)
    train(color_dataset, config, tmp_path, tmp_path, emit=events.append)
    (started,) = (event for event in events if isinstance(event, RunStarted))
    planned = [phase for phase, _seconds, _is_measured in started.stages]
    assert planned == [*(event.phase for event in events if isinstance(event, PhaseStarted)), "evaluation"]


def plan(dataset: ImageDataset, cache_dir: Path, **choices: Any) -> tuple[Stage, ...]:
    config = TrainingConfig(**choices)
    phases = planned_phases(config)
    return planned_stages(phases, config, dataset, (200,), 0, cache_dir, is_trained_on_all=False)


def test_deeper_training_takes_longer(color_dataset: ImageDataset, tmp_path: Path) -> None:
    def seconds(depth: int) -> float:
        stages = plan(color_dataset, tmp_path, num_unfrozen_blocks=depth, schedule="one_phase")
        return sum(seconds for _phase, seconds, _is_measured in stages)

    assert seconds(0) < seconds(2) < seconds(5) < seconds(9)


def test_the_whole_run_is_estimated_without_what_was_read(
    color_dataset: ImageDataset, tmp_path: Path
) -> None:
    backbone = get_backbone("efficientnet_lite0")
    num_images = len(color_dataset.images)

    def seconds(num_read: int = 0, **choices: Any) -> float:
        return estimated_seconds(
            TrainingConfig(head="auto", **choices), color_dataset, backbone, tmp_path, num_read
        )

    reading = num_images * backbone.num_multiplications / 30e9
    assert seconds() - seconds(num_images) == pytest.approx(reading)
    # What was read is of no use in front of blocks that learn.
    deep = seconds(num_unfrozen_blocks=2)
    assert seconds() < deep == seconds(num_images, num_unfrozen_blocks=2)
    assert deep < seconds(weights="random", num_unfrozen_blocks=9)


def test_a_run_makes_the_next_estimate_right(color_dataset: ImageDataset, tmp_path: Path) -> None:
    before = {phase: seconds for phase, seconds, _is_measured in plan(color_dataset, tmp_path)}
    # Half of the features took three times as long as half of the estimate.
    half = before["features"] / 2
    remember_rates(tmp_path, "efficientnet_lite0", [MeasuredStage("features", half, 3 * half, 0.5)])
    after = {phase: (seconds, known) for phase, seconds, known in plan(color_dataset, tmp_path)}
    assert after["features"] == (pytest.approx(3 * before["features"]), True)
    assert after["head"] == (before["head"], False)
    # Another backbone has no rate of its own; that of this machine is the better guess.
    other = {
        phase: seconds for phase, seconds, _ in plan(color_dataset, tmp_path / "no", backbone="resnet50_v2")
    }
    found = {phase: (s, known) for phase, s, known in plan(color_dataset, tmp_path, backbone="resnet50_v2")}
    assert found["features"] == (pytest.approx(3 * other["features"]), False)


def test_later_runs_change_a_rate_by_half_of_the_way(color_dataset: ImageDataset, tmp_path: Path) -> None:
    for ratio, expected in ((4.0, 4.0), (0.25, 2.0)):
        remember_rates(tmp_path, "b", [MeasuredStage("features", 1.0, ratio, 1.0)])
        stages = plan(color_dataset, tmp_path, backbone="efficientnet_lite0")
        assumed = plan(color_dataset, tmp_path / "none", backbone="efficientnet_lite0")
        assert stages[0][1] == pytest.approx(expected * assumed[0][1])


def test_little_work_says_nothing_about_a_rate(tmp_path: Path) -> None:
    remember_rates(tmp_path, "b", [MeasuredStage("head", 0.01, 5.0, 1.0), MeasuredStage("head", 1, 9, 0.1)])
    assert not (tmp_path / RATES_FILE).exists()


@pytest.mark.parametrize("content", ["", "{", '{"factors": {"head": -1}}', '{"factors": []}', "[]"])
def test_a_damaged_file_of_rates_is_replaced(
    content: str, color_dataset: ImageDataset, tmp_path: Path
) -> None:
    (tmp_path / RATES_FILE).write_text(content)
    assert plan(color_dataset, tmp_path) == plan(color_dataset, tmp_path / "none")
    remember_rates(tmp_path, "efficientnet_lite0", [MeasuredStage("head", 1.0, 2.0, 1.0)])
    assert plan(color_dataset, tmp_path)[1][2]


def test_whole_runs_correct_the_sum_of_the_stages(color_dataset: ImageDataset, tmp_path: Path) -> None:
    config, backbone = TrainingConfig(), get_backbone("efficientnet_lite0")

    def measured() -> float | None:
        return measured_seconds(config, color_dataset, backbone, tmp_path)

    planned = estimated_seconds(config, color_dataset, backbone, tmp_path)
    assert measured() is None
    # It ended before its last epoch.
    remember_run(tmp_path, "efficientnet_lite0", planned, planned / 4)
    assert measured() == pytest.approx(planned / 4)
    remember_run(tmp_path, "efficientnet_lite0", planned, planned)
    assert measured() == pytest.approx(planned / 2)
    other = get_backbone("resnet50_v2")
    of_other = estimated_seconds(TrainingConfig(backbone=other.name), color_dataset, other, tmp_path)
    found = measured_seconds(TrainingConfig(backbone=other.name), color_dataset, other, tmp_path)
    assert found == pytest.approx(of_other / 2)


def test_rates_of_one_pupil_are_those_of_the_others(color_dataset: ImageDataset, tmp_path: Path) -> None:
    server = Workspace(tmp_path / "server")
    anna, ben = server.person(new_id()), server.person(new_id())
    before = rates_version(ben.cache_dir)
    remember_run(anna.cache_dir, "efficientnet_lite0", 10.0, 20.0)
    assert measured_seconds(
        TrainingConfig(), color_dataset, get_backbone("efficientnet_lite0"), ben.cache_dir
    )
    assert before != rates_version(ben.cache_dir) == rates_version(server.cache_dir)
