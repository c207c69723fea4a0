"""The freeze sweep: every depth is trained, what is done is kept, and the best trade-off follows its rule."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import InvalidConfigError, NotFoundError, TrainingError
from transfer_core.events import EpochEnded, RunEnded, RunStarted, TrainingEvent
from transfer_core.runs.sweep import (
    SweepPlan,
    SweepPoint,
    best_trade_off,
    check_unchanged,
    list_sweeps,
    load_sweep,
    usual_depths,
)
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.queue import WorkQueue
from transfer_core.work.sweep_queue import continue_sweep, start_sweep, stop_sweep
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

Execute = Callable[[Workspace, TrainingRun, Callable[[TrainingEvent], None], Callable[[], bool]], None]


def learn(
    workspace: Workspace,
    run: TrainingRun,
    emit: Callable[[TrainingEvent], None],
    should_stop: Callable[[], bool],
) -> None:
    """Stand in for a training: deeper is better, and each seed a little different."""
    accuracy = 0.5 + 0.1 * run.config.num_unfrozen_blocks + 0.01 * run.config.seed
    emit(RunStarted(100.0, 18, 6, 1))
    emit(EpochEnded(101.0, 1, "head", 1.0, 0.5, 0.9, accuracy))
    emit(RunEnded(102.0 + run.config.num_unfrozen_blocks, "finished", "", 1))


def queue_with(workspace: Workspace, execute: Execute = learn) -> Trainings:
    """A queue that does its work at once."""
    return Trainings(workspace, execute, WorkQueue(lambda work: work()))


def waiting_queue(workspace: Workspace) -> Trainings:
    """A queue whose worker never begins."""
    return Trainings(workspace, learn, WorkQueue(lambda work: None))


@pytest.fixture
def config(tiny_config: TrainingConfig) -> TrainingConfig:
    return tiny_config.with_changes(schedule="head_only", weights="random", unfrozen_layers=("block1_conv",))


@pytest.fixture
def own_workspace(tmp_path, color_dataset: ImageDataset) -> Workspace:
    """A workspace of this test alone, with the coloured images."""
    workspace = Workspace(tmp_path)
    workspace.dataset_dir(color_dataset.id).symlink_to(color_dataset.folder, target_is_directory=True)
    return workspace


def test_each_depth_is_trained_with_each_seed(
    own_workspace: Workspace, color_dataset: ImageDataset, config: TrainingConfig
) -> None:
    plan = SweepPlan.of(color_dataset, config, [2, 0, 2], 2)
    queue = queue_with(own_workspace)
    start_sweep(queue, color_dataset, config, plan)
    (sweep,) = list_sweeps(own_workspace)
    assert sweep == load_sweep(own_workspace, plan.id)
    tried = {(run.config.num_unfrozen_blocks, run.config.seed) for run in sweep.runs}
    assert tried == set(itertools.product((0, 2), (1, 2)))
    for run in sweep.runs:
        # Whatever would have made the depth mean nothing is out of the way.
        assert (run.config.schedule, run.config.weights, run.config.unfrozen_layers) == (
            "head_then_fine_tune",
            "imagenet",
            (),
        )
    shallow, deep = sweep.points(queue.snapshot)
    assert shallow.accuracies == pytest.approx((0.51, 0.52)) and shallow.spread == pytest.approx(
        0.00707, abs=1e-4
    )
    assert (deep.num_unfrozen_blocks, deep.seconds, deep.num_images) == (2, 4.0, 6)
    assert (deep.num_planned, deep.num_finished) == (2, 2)
    assert (
        deep.num_trainable_parameters == 4608 + 1152 + 33 * 3 and shallow.num_trainable_parameters == 33 * 3
    )


def test_a_stopped_sweep_goes_on_with_what_is_left(
    own_workspace: Workspace, color_dataset: ImageDataset, config: TrainingConfig
) -> None:
    plan = SweepPlan.of(color_dataset, config, [0, 1], 1)
    work = WorkQueue(lambda work: None)
    waiting = Trainings(own_workspace, learn, work)
    start_sweep(waiting, color_dataset, config, plan)
    (sweep,) = list_sweeps(own_workspace)
    stop_sweep(waiting, sweep)
    first, second = sorted(sweep.runs, key=lambda run: run.config.num_unfrozen_blocks)
    assert waiting.status(second.id) == "stopped"
    assert waiting.is_stopping(first.id)  # its training would end at the next batch
    # The program ends here, and another begins.
    for task in work.tasks("training"):
        task.close()
    queue = queue_with(own_workspace)
    assert queue.status(first.id) == "interrupted"
    continue_sweep(queue, load_sweep(own_workspace, plan.id))
    after = load_sweep(own_workspace, plan.id)
    assert len(after.runs) == 3  # one went on, one came in the place of the one that was stopped
    assert queue.status(first.id) == "finished"
    assert [point.num_finished for point in after.points(queue.snapshot)] == [1, 1]
    continue_sweep(queue, after)
    assert load_sweep(own_workspace, plan.id) == after


def test_no_run_of_a_sweep_is_ever_without_its_plan(
    own_workspace: Workspace, color_dataset: ImageDataset, config: TrainingConfig, monkeypatch
) -> None:
    plan = SweepPlan.of(color_dataset, config, [0, 1], 1)

    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("transfer_core.work.trainings.LiveRun", die)
    with pytest.raises(KeyboardInterrupt):
        start_sweep(waiting_queue(own_workspace), color_dataset, config, plan)
    (sweep,) = list_sweeps(own_workspace)
    assert [run.id for run in sweep.runs] == own_workspace.run_ids()


def test_a_sweep_does_not_go_on_with_other_images(
    own_workspace: Workspace, image_folder, config: TrainingConfig
) -> None:
    dataset = add_files(create_dataset(own_workspace, "colors"), folder_source(image_folder))
    queue = queue_with(own_workspace)
    plan = SweepPlan.of(dataset, config, [0, 1], 1)
    start_sweep(queue, dataset, config, plan)
    dataset.without([dataset.images[0].id]).save()
    with pytest.raises(TrainingError, match="photos have changed"):
        continue_sweep(queue, load_sweep(own_workspace, plan.id))


def test_series_that_its_first_run_adds_are_no_change(
    own_workspace: Workspace, image_folder, config: TrainingConfig
) -> None:
    dataset = add_files(create_dataset(own_workspace, "colors"), folder_source(image_folder))
    plan = SweepPlan.of(dataset, config, [0, 1], 1)
    start_sweep(waiting_queue(own_workspace), dataset, config, plan)
    sweep = load_sweep(own_workspace, plan.id)
    examined = dataset.with_series({}).save()
    assert check_unchanged(own_workspace, sweep) == examined
    examined.without([dataset.images[0].id]).save()
    with pytest.raises(TrainingError, match="photos have changed"):
        check_unchanged(own_workspace, sweep)


def test_plans_that_cannot_be(
    color_dataset: ImageDataset, config: TrainingConfig, workspace: Workspace
) -> None:
    with pytest.raises(TrainingError, match="at least two depths"):
        SweepPlan.of(color_dataset, config, [1, 1], 3)
    with pytest.raises(InvalidConfigError):
        SweepPlan.of(color_dataset, config, [0, 9], 3)
    with pytest.raises(NotFoundError):
        load_sweep(workspace, "20261122-140512-0123456789abcdef")
    folds = color_dataset.with_split(0.2, 1, split_by="folds", num_folds=3)
    assert SweepPlan.of(folds, config, [0, 1], 3).seeds == (config.seed,)
    assert usual_depths(2) == [0, 1, 2] and usual_depths(9) == [0, 1, 2, 3]


def point(depth: int, *accuracies: float, num_images: int = 100) -> SweepPoint:
    return SweepPoint(depth, 1000, accuracies, 1.0, num_images, 3, len(accuracies))


def test_of_depths_that_are_as_good_the_shallowest_is_the_best_trade_off() -> None:
    # The standard error of 90 % on 100 photos is 3 points.
    points = [point(0, 0.86), point(1, 0.872, 0.876), point(2, 0.9), point(3)]
    chosen = best_trade_off(points)
    assert chosen is not None and chosen.num_unfrozen_blocks == 1
    more_photos = [point(0, 0.86, num_images=4000), point(2, 0.9, num_images=4000)]
    assert best_trade_off(more_photos) == more_photos[1]
    assert best_trade_off([point(0), point(1)]) is None


def test_all_right_on_few_photos_is_not_certain() -> None:
    # 24 of 24: the 95 % interval goes down to 86 %, so that a standard error is 3.5 points.
    near = [point(0, 0.97, num_images=24), point(2, 1.0, num_images=24)]
    assert best_trade_off(near) == near[0]
    far = [point(0, 0.95, num_images=24), point(2, 1.0, num_images=24)]
    assert best_trade_off(far) == far[1]
