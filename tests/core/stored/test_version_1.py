"""A workspace that version 1 wrote opens, with every fact as it was then.

The commit that added the data also has the script that made it, with the writers of that version.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packaging.version import Version

from transfer_core.backbones.own.source_model import FACTS_FILE, SourceModelFacts
from transfer_core.backbones.registry import get_backbone
from transfer_core.backbones.runtime import load_keras
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import EpochEnded, RunResumed
from transfer_core.export.bundle import exported
from transfer_core.files import read_json
from transfer_core.inference.predictor import Prediction, Predictor
from transfer_core.projects.open import open_project
from transfer_core.runs.distillation import students_of
from transfer_core.runs.leftovers import remove_leftovers
from transfer_core.runs.new_photos import new_photos_of
from transfer_core.runs.sweep import list_sweeps
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.execute import execute_run_safely
from transfer_core.work.queue import WorkQueue
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "version-1-workspace.json").read_text("utf-8"))
RUN_IDS = EXPECTED["run_ids"]
# Another processor adds numbers up in another order, which a training makes larger.
ANSWER_TOLERANCE, TRAINING_TOLERANCE = 1e-5, 1e-3


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The workspace, which tests only read."""
    return unpacked(tmp_path_factory.mktemp("stored"))


def unpacked(folder: Path) -> Workspace:
    with zipfile.ZipFile(HERE / "version-1-workspace.zip") as archive:
        archive.extractall(folder)
    return Workspace(folder)


def load_run(workspace: Workspace, role: str) -> TrainingRun:
    return TrainingRun.load(workspace, RUN_IDS[role])


@pytest.fixture
def eager() -> Iterator[None]:
    """Tracing graphs takes longer than the epoch that is left."""
    load_keras()
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def new_queue(workspace: Workspace) -> Trainings:
    """A queue as after a restart, which works at once."""
    return Trainings(workspace, execute_run_safely, WorkQueue(lambda work: work()))


def assert_holds(found: Any, expected: Any, place: str = "") -> None:
    """Compare values and types, down to the last part; what an object has beyond that does not matter."""
    if isinstance(expected, dict):
        if isinstance(found, Mapping):
            assert found.keys() == expected.keys(), place
        for name, value in expected.items():
            part = found[name] if isinstance(found, Mapping) else getattr(found, name)
            assert_holds(part, value, f"{place}.{name}")
    elif isinstance(expected, list):
        assert isinstance(found, tuple), place
        assert len(found) == len(expected), place
        for number, (part, value) in enumerate(zip(found, expected, strict=True)):
            assert_holds(part, value, f"{place}[{number}]")
    elif isinstance(expected, float) and math.isnan(expected):
        assert math.isnan(found), place
    else:
        assert type(found) is type(expected), place
        assert found == expected, place


def assert_run_holds(run: TrainingRun, expected: dict[str, Any]) -> None:
    assert_holds(run, expected["run"], "run")
    if expected["train_ids"]:
        assert sorted(run.train_ids()) == expected["train_ids"]
        assert sorted(run.validation_ids()) == expected["validation_ids"]
    assert_holds(run.files.notes(), expected["notes"], "notes")
    # Phases are counted by name now; the times by position are only in the events.
    snapshot = {name: value for name, value in expected["snapshot"].items() if name != "assumed_seconds"}
    assert_holds(run.snapshot(), snapshot, "snapshot")
    events = run.events()
    assert [type(event).__name__ for event in events] == [kind for kind, _facts in expected["events"]]
    assert_holds(tuple(events), [facts for _kind, facts in expected["events"]], "events")


def assert_model_holds(run: TrainingRun, expected: dict[str, Any]) -> None:
    assert_holds(run.evaluation(), expected["evaluation"], "evaluation")
    assert_holds(run.backbone, expected["backbone"], "backbone")
    assert run.backbone.weights.checksum == expected["weights_checksum"]
    predictor = Predictor.load(run.folder)
    assert predictor.notices == ()
    assert_holds(predictor.calibration, expected["calibration"], "calibration")
    assert_holds(predictor.rejection, expected["rejection"], "rejection")
    answers = assert_scores(predictor, expected["predictions"], ANSWER_TOLERANCE)
    familiarities = [then["familiarity"] for then in expected["predictions"]]
    assert [found.familiarity for found in answers] == pytest.approx(
        familiarities, rel=0, abs=ANSWER_TOLERANCE
    )


def assert_scores(predictor: Predictor, expected: list[dict[str, Any]], tolerance: float) -> list[Prediction]:
    pixels = np.random.default_rng(5).integers(0, 256, (len(expected), 32, 32, 3), np.uint8)
    answers = predictor.predict_pixels(pixels)
    for found, then in zip(answers, expected, strict=True):
        assert list(found.class_names) == then["class_names"]
        np.testing.assert_allclose(found.scores, then["scores"], rtol=0, atol=tolerance)
    return answers


def test_everything_is_listed_and_nothing_is_left_over(stored: Workspace) -> None:
    files = sorted(stored.root.rglob("*"))
    remove_leftovers(stored)
    assert sorted(stored.root.rglob("*")) == files
    assert set(stored.dataset_ids()) == {facts["id"] for facts in EXPECTED["datasets"].values()}
    assert set(stored.run_ids()) == set(RUN_IDS.values()) - {RUN_IDS["deleted"]}
    assert stored.source_ids() == [RUN_IDS["finished"]]


@pytest.mark.parametrize("name", EXPECTED["datasets"])
def test_images_are_as_they_were(stored: Workspace, name: str) -> None:
    expected = EXPECTED["datasets"][name]
    dataset = ImageDataset.load(stored, expected["id"])
    assert_holds(dataset, expected, name)
    assert all(dataset.image_path(image).is_file() for image in (*dataset.images, *dataset.excluded))


def test_images_have_been_through_every_change(stored: Workspace) -> None:
    """What the recorded facts are to hold, in words."""
    colours, folders, parts = (
        ImageDataset.load(stored, EXPECTED["datasets"][name]["id"])
        for name in ("Colours", "Folders", "Parts")
    )
    assert colours.class_names == ("blue", "green", "rosso")
    assert (colours.split_by, colours.validation_split, colours.seed) == ("share", 0.65, 7)
    assert [edit.kind for edit in colours.edits] == (
        ["relabel", "relabel", "exclude", "restore", "delete_class", "rename_class"]
    )
    assert [(image.name, image.class_name) for image in colours.excluded] == (
        [("blue-5.png", "blue"), ("grey-1.png", "grey")]
    )
    assert [image.name for image in colours.images if image.is_confirmed] == ["blue-7.png", "green-2.png"]
    assert {file.kind for file in colours.left_out} == (
        {"system", "damaged", "too_small", "not_an_image", "duplicate", "other_class", "no_class"}
        | {"excluded", "again"}
    )
    recording = [image for image in colours.images if image.burst == "recording 1"]
    assert len(recording) == 4
    assert len({(image.group, image.split) for image in recording}) == 1
    assert folders.sample == "digits"
    assert [image.name for image in folders.images_in("test")] == ["blue-4.png", "red-4.png"]
    assert {image.given_split for image in folders.images} == {"train", "validation", "test"}
    assert (parts.split_by, parts.num_folds) == ("folds", 2)
    assert "rosso" not in colours.undone().class_names


@pytest.mark.parametrize("role", EXPECTED["runs"])
def test_run_is_as_it_was(stored: Workspace, role: str) -> None:
    run = load_run(stored, role)
    assert_run_holds(run, EXPECTED["runs"][role])
    assert new_queue(stored).status(run.id) == EXPECTED["runs"][role]["status"]
    assert run.has_model == (role in EXPECTED["models"])
    assert run.has_checkpoint == (role == "interrupted")


@pytest.mark.skipif(
    Version(version("keras")) < Version("3.15"),
    reason="the stored models are files of Keras 3.15, which earlier releases cannot read",
)
@pytest.mark.parametrize("role", EXPECTED["models"])
def test_model_answers_as_it_did(stored: Workspace, role: str) -> None:
    assert_model_holds(load_run(stored, role), EXPECTED["models"][role])


def test_signature_says_what_the_model_is(stored: Workspace) -> None:
    signature = load_run(stored, "finished").signature
    assert (signature.backbone, signature.head, signature.last_layer) == (
        "tiny_random",
        "hidden",
        "block2_relu",
    )
    assert signature.class_names == ("blue", "green", "rosso")


def test_own_model_is_the_start_of_another_run(stored: Workspace) -> None:
    source_id = RUN_IDS["finished"]
    facts = SourceModelFacts.from_dict(read_json(stored.source_dir(source_id) / FACTS_FILE))
    assert_holds(facts, EXPECTED["source"], "source")
    backbone = get_backbone(load_run(stored, "on_own_model").config.backbone, stored)
    assert (backbone.name, backbone.title) == (source_id, "Colours")
    # Loading compares the checksum.
    assert backbone.build(pretrained=True).output_shape == (None, 4, 4, 32)


def test_sweep_is_as_far_as_it_was(stored: Workspace) -> None:
    (sweep,) = list_sweeps(stored)
    assert_holds(sweep.plan, EXPECTED["sweep"], "sweep")
    assert {run.id for run in sweep.runs} == {RUN_IDS["cross_validated"], RUN_IDS["interrupted"]}
    points = sweep.points(new_queue(stored).snapshot)
    assert_holds(tuple(points), EXPECTED["sweep_points"], "points")


def test_what_lies_beside_runs_is_as_it_was(stored: Workspace) -> None:
    finished, distilled = load_run(stored, "finished"), load_run(stored, "distilled")
    assert_holds(distilled.files.distillation(), EXPECTED["distillation"], "distillation")
    assert [run.id for run in students_of(stored, finished)] == [distilled.id]
    dataset = ImageDataset.load(stored, finished.dataset_id)
    assert_holds(new_photos_of(finished, dataset), EXPECTED["new_photos"], "new photos")
    assert_holds(exported(finished, "keras"), EXPECTED["export"], "export")


def test_deleted_run_can_be_taken_back(tmp_path: Path) -> None:
    workspace = unpacked(tmp_path)
    new_queue(workspace).undo_delete(RUN_IDS["deleted"])
    run = load_run(workspace, "deleted")
    assert run.outcome == "stopped"
    assert (run.config.schedule, run.config.num_unfrozen_blocks) == ("gradual", 2)
    assert run.files.notes().name == "thrown away"


def test_interrupted_run_goes_on_to_its_end(tmp_path: Path, eager: None) -> None:
    workspace = unpacked(tmp_path)
    queue = new_queue(workspace)
    before = load_run(workspace, "interrupted").events()
    queue.resume(RUN_IDS["interrupted"])
    assert queue.status(RUN_IDS["interrupted"]) == "finished"
    run = load_run(workspace, "interrupted")
    events = run.events()
    assert events[: len(before)] == before
    resumed = events[len(before)]
    assert isinstance(resumed, RunResumed)
    assert resumed.epoch == 2
    assert [event.epoch for event in events if isinstance(event, EpochEnded)] == [1, 2, 3]
    # The photo that was damaged then.
    assert len(run.snapshot().left_out) == 1
    assert sorted(run.train_ids()) == EXPECTED["runs"]["interrupted"]["train_ids"]
    # Its familiarity is measured as in the version that ends the training.
    assert_scores(Predictor.load(run.folder), EXPECTED["resumed"], TRAINING_TOLERANCE)


def test_project_opens_with_the_same_facts(workspace: Workspace) -> None:
    with (HERE / "version-1-project.zip").open("rb") as content:
        opened = open_project(workspace, content)
    assert opened.run_ids == (RUN_IDS["cross_validated"],)
    dataset = ImageDataset.load(workspace, opened.dataset_id)
    assert_holds(dataset, EXPECTED["datasets"]["Parts"], "project")
    run = load_run(workspace, "cross_validated")
    assert_run_holds(run, EXPECTED["runs"]["cross_validated"])
    assert_model_holds(run, EXPECTED["models"]["cross_validated"])
    (sweep,) = list_sweeps(workspace)
    assert_holds(sweep.plan, EXPECTED["sweep"], "sweep")
