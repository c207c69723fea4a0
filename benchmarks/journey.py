"""The time that a person waits in a training, through the app's own work queue.

Each row is a ratio to one forward pass of all decoded photos, at the rate of the engine in use, measured in the same
process: the times themselves depend on the machine. Each case runs in a process of its own with an empty workspace and
with TensorFlow imported: *looked ahead* finds the features that the app extracts while a person is still choosing;
*cold* finds neither features nor a kept graph.

Example:
    python -m benchmarks.journey --data photos/flowers --large photos/trash --large photos/clothing
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

import click
from PIL import Image, ImageOps

from benchmarks.photos import Result, dataset_of, machine, timed
from benchmarks.scripts import plain_fit, textbook_fit
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.pixels import pixel_batches
from transfer_core.events import PhaseStarted, RunEnded, StartScored, TrainingEvent
from transfer_core.inference.predictor import Predictor
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.advice import recommend
from transfer_core.training.features.frozen_network import engine_of, frozen_graph
from transfer_core.training.freezing import POOLING_LAYER
from transfer_core.training.train import train
from transfer_core.training.variants import recommended_variant
from transfer_core.work.look_ahead import backbones_to_read_with, look_ahead_task
from transfer_core.work.queue import WorkQueue
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

_PASS_BATCH_SIZE = 16
_NUM_MIRRORED = 170
_SCRIPT_EPOCHS = 10
_FINE_TUNED_BLOCKS = 2


@dataclass(frozen=True)
class Waited:
    """Seconds of one run after Start.

    Args:
        first_point: Until the first point of the chart.
        answer: Until the run ended.
        phases: Of each phase in its order, with the time before the first one.
    """

    first_point: float
    answer: float
    phases: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Journey:
    """The recommended training and what follows it, in one process.

    Args:
        first: The first run.
        second: A run of the same photos with another learning rate.
        first_answer: Seconds from the end of the first run to the answer for a photo.
        forward_pass: Seconds of one forward pass of all photos through the plain backbone.
    """

    first: Waited
    second: Waited
    first_answer: float
    forward_pass: float


@dataclass(frozen=True)
class Scripts:
    """Seconds of textbook trainings, and of this project's with the same config, in one process.

    Args:
        textbook: The textbook head on a frozen backbone.
        plain_frozen: A plain `fit` of this project's plain head.
        plain_tuned: The same with two blocks unfrozen.
        frozen: This project's training of the plain head.
        tuned: The same with two blocks fine-tuned.
        forward_pass: One forward pass of all photos.
    """

    textbook: float
    plain_frozen: float
    plain_tuned: float
    frozen: float
    tuned: float
    forward_pass: float


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    help="Folder of class folders.",
)
@click.option(
    "--large",
    "more_folders",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    help="Also wait with these folders, the first one and mirrored photos of it as one large set.",
)
@click.option("--backbone", default=DEFAULT_BACKBONE, show_default=True)
@click.option("--scripts/--no-scripts", default=True, help="Also run textbook trainings, which take minutes.")
def main(data: Path, more_folders: tuple[Path, ...], backbone: str, *, scripts: bool) -> None:
    """Print each ratio with its goal, and where the time went."""
    click.echo(machine())
    looked_ahead = _apart(_journey, data, backbone, True)
    cold = _apart(_journey, data, backbone, False)
    _print_goal("Start to first chart point, looked ahead, seconds", looked_ahead.first.first_point, 2)
    passes = looked_ahead.forward_pass
    _print_goal("  the same, passes", looked_ahead.first.first_point / passes, 0.3)
    _print_goal("Start to final answer, looked ahead, passes", looked_ahead.first.answer / passes, 1.0)
    _print_goal("  the same, cold", cold.first.answer / cold.forward_pass, 2.5)
    if more_folders:
        with tempfile.TemporaryDirectory() as folder:
            large = _apart(_journey, _large_set(Path(folder) / "large", data, more_folders), backbone, False)
        _print_goal("  the same, cold, large set", large.first.answer / large.forward_pass, 1.5)
    _print_goal("second run with another choice / first, cold", cold.second.answer / cold.first.answer, 0.15)
    _print_goal("first photo to answer after training, seconds", looked_ahead.first_answer, 1)
    if scripts:
        script = _apart(_scripts, data, backbone)
        textbook = script.textbook / script.forward_pass
        _print_goal(
            "plain fit / ours, two blocks fine-tuned", script.plain_tuned / script.tuned, 6, is_least=True
        )
        _print_goal("plain fit / ours, all frozen", script.plain_frozen / script.frozen, 7, is_least=True)
        # Each in passes of its own process, so that a change of the load between them does not count.
        _print_goal(
            "textbook / recommended, looked ahead",
            textbook / (looked_ahead.first.answer / passes),
            20,
            is_least=True,
        )
        _print_goal("textbook / recommended, cold", textbook / (cold.first.answer / cold.forward_pass))
    _print_phases("looked ahead", looked_ahead.first, passes)
    _print_phases("looked ahead, second run", looked_ahead.second, passes)
    _print_phases("cold", cold.first, cold.forward_pass)
    _print_phases("cold, second run", cold.second, cold.forward_pass)
    if more_folders:
        _print_phases("cold, large set", large.first, large.forward_pass)


def _apart(case: Callable[..., Result], *arguments: object) -> Result:
    """Measure a case in a process of its own, which has no graph and no model yet."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(case, *arguments).result()


def _print_goal(name: str, value: float, goal: float | None = None, *, is_least: bool = False) -> None:
    bound = "" if goal is None else f"(goal: {'at least' if is_least else 'at most'} {goal})"
    click.echo(f"{name:<52} {value:7.2f}  {bound}")


def _print_phases(name: str, waited: Waited, forward_pass: float) -> None:
    click.echo(f"\n{name}: {waited.answer:.2f} s, one forward pass {forward_pass:.2f} s")
    for phase, seconds in waited.phases:
        click.echo(f"    {phase:<24} {seconds:7.2f} s  {seconds / forward_pass:6.2f} passes")


def _journey(data: Path, backbone_name: str, is_looked_ahead: bool) -> Journey:
    load_keras()
    backbone = get_backbone(backbone_name)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        dataset = dataset_of(workspace, data)
        queue = WorkQueue()
        if is_looked_ahead:
            _look_ahead(workspace, queue, dataset, backbone)
        chosen, _reason = recommended_variant(dataset, backbone, workspace.cache_dir)
        config = recommend(dataset, chosen).config
        trainings = Trainings(workspace, queue=queue)
        run, first = _wait_for_run(trainings, dataset, config)
        first_answer, _prediction = timed(lambda: _first_answer(run, dataset))
        other = config.with_changes(learning_rate=config.learning_rate / 2)
        _run, second = _wait_for_run(trainings, dataset, other)
        return Journey(first, second, first_answer, forward_pass(workspace, dataset, backbone))


def _scripts(data: Path, backbone_name: str) -> Scripts:
    load_keras()
    frozen = TrainingConfig(backbone=backbone_name, epochs=_SCRIPT_EPOCHS)
    # The app's default schedule has a head phase before fine-tuning, here with equally many epochs.
    tuned = frozen.with_changes(num_unfrozen_blocks=_FINE_TUNED_BLOCKS, fine_tune_epochs=_SCRIPT_EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        dataset = dataset_of(workspace, data)

        def ours(config: TrainingConfig) -> float:
            shutil.rmtree(workspace.cache_dir, ignore_errors=True)
            return timed(lambda: train(dataset, config, workspace.root / "out", workspace.cache_dir))[0]

        return Scripts(
            textbook=textbook_fit(dataset, frozen)[0],
            plain_frozen=plain_fit(dataset, frozen)[0],
            plain_tuned=plain_fit(dataset, tuned)[0],
            frozen=ours(frozen),
            tuned=ours(tuned),
            forward_pass=forward_pass(workspace, dataset, get_backbone(backbone_name)),
        )


def _look_ahead(workspace: Workspace, queue: WorkQueue, dataset: ImageDataset, backbone: Backbone) -> None:
    """Let the app read the photos while nobody has pressed Start."""
    names = backbones_to_read_with(workspace, dataset, backbone.name)
    queue.start(look_ahead_task(workspace, dataset.id, names)).wait()


def _wait_for_run(
    trainings: Trainings, dataset: ImageDataset, config: TrainingConfig
) -> tuple[TrainingRun, Waited]:
    started_at = time.time()
    run_id = trainings.submit(dataset, config)
    while trainings.is_here(run_id):
        time.sleep(0.005)
    run = TrainingRun.load(trainings.workspace, run_id)
    return run, _waited(started_at, run.events())


def _waited(started_at: float, events: list[TrainingEvent]) -> Waited:
    """Return when the chart and the answer came, and how long each phase took.

    Raises:
        click.ClickException: If the run did not finish.
    """
    ended = events[-1]
    if not isinstance(ended, RunEnded) or ended.outcome != "finished":
        raise click.ClickException(f"the run ended with {ended}")
    first_point = next(event.time for event in events if isinstance(event, StartScored))
    begun = [
        ("before", started_at),
        *((event.phase, event.time) for event in events if isinstance(event, PhaseStarted)),
        ("end", ended.time),
    ]
    phases = tuple((phase, after - before) for (phase, before), (_next, after) in pairwise(begun))
    return Waited(first_point - started_at, ended.time - started_at, phases)


def _first_answer(run: TrainingRun, dataset: ImageDataset) -> None:
    Predictor.load(run.folder).predict(dataset.image_path(dataset.images[0]).read_bytes())


def forward_pass(workspace: Workspace, dataset: ImageDataset, backbone: Backbone) -> float:
    """Return the seconds of one forward pass of all decoded photos at the rate of the engine in use."""
    engine = engine_of(backbone, workspace.cache_dir)
    forward = frozen_graph(backbone, [POOLING_LAYER], workspace.cache_dir, engine)
    paths = [dataset.image_path(image) for image in dataset.images]
    batches = list(pixel_batches(paths, backbone.image_size, _PASS_BATCH_SIZE))
    forward(batches[0])
    return timed(lambda: [forward(batch) for batch in batches])[0]


def _large_set(folder: Path, data: Path, more_folders: tuple[Path, ...]) -> Path:
    """Copy several folders of class folders into one, and mirror photos of the first."""
    for source in (data, *more_folders):
        shutil.copytree(source, folder, dirs_exist_ok=True)
    classes = [
        sorted(path for path in one.iterdir() if path.suffix == ".jpg") for one in sorted(data.iterdir())
    ]
    # Class by class in turns, so that each has as many.
    photos = [path for turn in zip_longest(*classes) for path in turn if path]
    for path in photos[:_NUM_MIRRORED]:
        mirrored = ImageOps.mirror(Image.open(path).convert("RGB"))
        mirrored.save(folder / path.parent.name / f"mirrored-{path.stem}.jpg", quality=95)
    return folder


if __name__ == "__main__":
    main()
