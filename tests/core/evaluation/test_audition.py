"""The audition: which backbone fits, what it costs, which is the best trade-off."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import IngestError
from transfer_core.evaluation.audition import (
    AuditionScore,
    _seconds_of,
    audition,
    best_trade_off,
    probe_accuracies,
)
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.train import train
from transfer_core.work.queue import WorkQueue
from transfer_core.work.tasks import audition_task
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

TINY = get_backbone("tiny_random")


def score(name: str, accuracies: tuple[float, ...], seconds: float, num_images: int = 100) -> AuditionScore:
    return AuditionScore(name, accuracies, seconds, 1.0, num_images)


def test_scores_hold_accuracy_time_and_size(color_dataset: ImageDataset, tmp_path: Path) -> None:
    reported: list[tuple[str, int]] = []

    def tell(backbone: Backbone, num_images: int) -> None:
        reported.append((backbone.name, num_images))

    (found,) = audition(color_dataset, [TINY], tmp_path, on_progress=tell)
    assert found.accuracy > 0.9  # the classes are colours
    assert len(found.accuracies) == 5
    assert found.seconds_per_100_images > 0
    assert found.megabytes == TINY.megabytes
    assert reported[0] == ("tiny_random", 0)
    assert reported[-1] == ("tiny_random", len(color_dataset.images))


def test_the_time_for_an_image_is_that_of_the_batches_after_the_first() -> None:
    # 40 were cached; the first batch took 9 s, the other two 2 s for 64 images.
    passes = [(40, 0.0), (72, 9.0), (104, 10.0), (136, 11.0)]
    assert _seconds_of(passes) == pytest.approx(2 / 64)


@pytest.mark.parametrize("passes", [[(200, 0.0)], [(0, 0.0), (24, 5.0)]], ids=["all cached", "one batch"])
def test_too_few_batches_give_no_time(passes: list[tuple[int, float]]) -> None:
    assert _seconds_of(passes) is None


def test_features_are_those_of_a_training_and_computed_once(
    color_dataset: ImageDataset, tiny_config, tmp_path: Path, session_workspace: Workspace
) -> None:
    audition(color_dataset, [TINY], tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    reported: list[int] = []
    audition(color_dataset, [TINY], tmp_path, on_progress=lambda _backbone, count: reported.append(count))
    assert reported == [len(color_dataset.images)]
    train(color_dataset, tiny_config.with_changes(schedule="head_only"), tmp_path / "run", tmp_path)
    assert {path for path in tmp_path.glob("*") if path.is_file()} == {
        path for path in files if path.parent == tmp_path
    }


def test_chance_is_reported_as_chance() -> None:
    draws = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 25)
    accuracies = probe_accuracies(
        draws.normal(size=(100, 30)).astype(np.float32), labels, [str(number) for number in range(100)]
    )
    assert 0.05 < np.mean(accuracies) < 0.5


def test_images_that_belong_together_are_never_parted() -> None:
    """Five near-copies of each of eight photos, with random labels by photo: parted, copies give them away."""
    draws = np.random.default_rng(1)
    photos = draws.normal(size=(24, 40))
    labels = np.repeat(np.arange(24) % 2, 5)
    features = np.repeat(photos, 5, axis=0) + draws.normal(size=(120, 40)) * 0.01
    together = [f"photo-{number // 5}" for number in range(120)]
    alone = [str(number) for number in range(120)]
    assert np.mean(probe_accuracies(features, labels, alone)) > 0.95
    assert np.mean(probe_accuracies(features, labels, together)) < 0.8


def test_best_trade_off_is_the_quickest_within_one_standard_error() -> None:
    accurate = score("accurate", (0.80, 0.90, 0.85, 0.95, 0.90), 9.0)
    quick = score("quick", (0.86, 0.86, 0.86, 0.86, 0.86), 2.0)
    poor = score("poor", (0.5, 0.6, 0.5, 0.6, 0.5), 1.0)
    assert best_trade_off([accurate, quick, poor]) is quick
    sure = score("sure", (0.95, 0.95, 0.95, 0.95, 0.95), 9.0)
    assert best_trade_off([sure, quick, poor]) is sure


def test_all_right_on_few_images_is_not_certain() -> None:
    """24 of 24: the 95 % interval goes down to 86 %, so that a standard error is 3.5 points."""
    perfect = score("perfect", (1.0, 1.0, 1.0, 1.0), 9.0, num_images=24)
    quick = score("quick", (1.0, 1.0, 5 / 6, 1.0), 2.0, num_images=24)
    poor = score("poor", (1.0, 5 / 6, 5 / 6, 1.0), 1.0, num_images=24)
    assert perfect.standard_error == pytest.approx(0.0352, abs=0.0001)
    assert best_trade_off([perfect, quick, poor]) is perfect
    one_less = score("one_less", (1.0, 1.0, 0.9, 1.0), 2.0, num_images=24)
    assert best_trade_off([perfect, one_less, poor]) is one_less


def test_stop_ends_it(color_dataset: ImageDataset, tmp_path: Path) -> None:
    with pytest.raises(FeaturesStoppedError):
        audition(color_dataset, [TINY], tmp_path, should_stop=lambda: True)


def test_too_few_images_are_reported(color_dataset: ImageDataset, tmp_path: Path) -> None:
    few = [
        next(image for image in color_dataset.images if image.class_name == name) for name in ("red", "blue")
    ]
    with pytest.raises(IngestError, match="at least two classes with two different photos"):
        audition(color_dataset.with_images(few, ()), [TINY], tmp_path)


def test_task_waits_for_a_training_and_can_be_stopped_meanwhile(
    workspace: Workspace, color_dataset: ImageDataset, tiny_config
) -> None:
    training, may_end = threading.Event(), threading.Event()

    def execute(*_arguments: object) -> None:
        training.set()
        may_end.wait(60)

    queue = WorkQueue()
    trainings = Trainings(workspace, execute, queue)
    trainings.submit(color_dataset, tiny_config)
    assert training.wait(60)
    stopped = queue.start(audition_task(workspace, color_dataset, [TINY]))
    assert stopped.state == "waiting"
    stopped.request_stop()
    assert (stopped.state, stopped.result, stopped.problem) == ("over", None, "")
    done = queue.start(audition_task(workspace, color_dataset, [TINY]))
    assert done is not stopped
    may_end.set()
    assert done.wait(60)
    assert done.result is not None
    assert done.progress.share == 1.0


def test_on_flowers_lite2_is_at_or_above_lite0_and_near_a_whole_training(
    workspace: Workspace, shared_data: Path, tmp_path: Path
) -> None:
    """The folds of the audition are other photos than the validation photos of the training."""
    flowers = add_files(create_dataset(workspace, "flowers"), folder_source(shared_data / "flowers"))
    names = ("efficientnet_lite0", "efficientnet_lite2")
    lite0, lite2 = audition(flowers, [get_backbone(name) for name in names], workspace.cache_dir)
    assert lite2.accuracy >= lite0.accuracy
    best = train(flowers, TrainingConfig(schedule="head_only"), tmp_path, workspace.cache_dir).best
    assert best is not None
    assert abs(lite0.accuracy - best.val_accuracy) <= 0.04
