"""Tasks that pages start: each gives the result of the function it wraps, reports progress and obeys a stop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from tests.conftest import MakeImage
from tests.core.conftest import FinishedRun
from transfer_core.backbones.registry import get_backbone
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import NotFoundError
from transfer_core.evaluation.label_suspicion import suspicious_labels
from transfer_core.inference.answers import answer_files
from transfer_core.inference.explanation import GradCam
from transfer_core.inference.predictor import Predictor
from transfer_core.runs.new_photos import add_new_photos, evaluate_new_photos
from transfer_core.runs.run_evaluation import evaluate_split
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Task
from transfer_core.work.tasks import (
    answers_task,
    class_averages_task,
    label_check_task,
    new_photos_scoring_task,
    split_scoring_task,
)

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
Make = Callable[[], Task[Any]]


@pytest.fixture
def files(make_image: MakeImage) -> list[ImportedFile]:
    """Photos of two known classes that the run has never met."""
    return [
        ImportedFile((color, f"{color}.png"), lambda color=color: make_image(color, seed=900))
        for color in ("blue", "red")
    ]


@pytest.fixture
def tasks(finished_run: FinishedRun, files: list[ImportedFile]) -> dict[str, Make]:
    workspace, run, dataset = finished_run.workspace, finished_run.run, finished_run.dataset
    paths = [dataset.image_path(image) for image in dataset.images_in("validation")]
    predictor = Predictor.load(run.folder)
    grad_cam = GradCam.of(predictor, run.folder)
    return {
        "label check": lambda: label_check_task(workspace, dataset, "tiny_random"),
        "scoring": lambda: split_scoring_task(workspace, run.id, "train", 1),
        "answers": lambda: answers_task("photos", predictor, lambda: nullcontext(files)),
        "average heat": lambda: class_averages_task("photos", lambda: grad_cam, {"red": paths[:2]}),
    }


@pytest.mark.parametrize("kind", ["label check", "scoring", "answers", "average heat"])
def test_task_reports_its_progress_and_can_be_stopped(tasks: dict[str, Make], kind: str) -> None:
    queue = WorkQueue()
    task = queue.start(tasks[kind]())
    assert task.wait(PATIENCE)
    assert task.problem == ""
    assert task.result is not None
    assert task.progress.num_all > 0
    stopped = tasks[kind]()
    stopped.request_stop()
    queue.start(stopped)
    assert stopped.wait(PATIENCE)
    assert (stopped.result, stopped.problem) == (None, "")


def test_results_are_those_of_the_engine(
    tasks: dict[str, Make], finished_run: FinishedRun, files: list[ImportedFile]
) -> None:
    workspace, run, dataset = finished_run.workspace, finished_run.run, finished_run.dataset
    results = {}
    for kind, make in tasks.items():
        task = make()
        task.run_part()
        results[kind] = task.result
    suspicions = suspicious_labels(dataset, workspace.cache_dir, backbone=get_backbone("tiny_random"))
    assert results["label check"] == tuple(suspicions)
    assert results["scoring"] == evaluate_split(run, dataset, "train", workspace.cache_dir)
    answers = answer_files(Predictor.load(run.folder), files)
    assert [answer.path for answer in results["answers"]] == [answer.path for answer in answers]
    assert [answer.prediction.scores for answer in results["answers"]] == [
        answer.prediction.scores for answer in answers
    ]
    (average,) = results["average heat"]
    assert (average.class_name, average.num_images) == ("red", 2)


def test_new_photos_are_scored_as_long_as_they_are_there(own: FinishedRun, files: list[ImportedFile]) -> None:
    own.workspace.dataset_dir(own.dataset.id).symlink_to(own.dataset.folder, target_is_directory=True)
    missing = new_photos_scoring_task(own.workspace, own.run.id, 1)
    missing.run_part()
    assert isinstance(missing.error, NotFoundError)
    photos = add_new_photos(own.run, files, learned_from=own.dataset)
    task = new_photos_scoring_task(own.workspace, own.run.id, 2)
    task.run_part()
    assert task.result == evaluate_new_photos(own.run, photos, own.workspace.cache_dir)
    assert task.progress.num_all == 2
