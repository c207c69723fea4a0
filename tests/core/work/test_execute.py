"""One run from its choices to its files, and every way to go wrong ends in a sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError, NotFoundError, TrainingError, WorkspaceError
from transfer_core.events import (
    BatchEnded,
    FoldEnded,
    ImagesSeen,
    PhaseStarted,
    PhotosLeftOut,
    RunEnded,
    RunStarted,
    TrainingEvent,
    snapshot_of,
)
from transfer_core.inference import predictor as predictor_module
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.language import said
from transfer_core.runs.leakage import seen_in_training
from transfer_core.runs.run_evaluation import evaluate_split, proof_images
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training import phase_trainer
from transfer_core.training import train as train_module
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.training.signature import ModelSignature
from transfer_core.work import execute
from transfer_core.work.execute import execute_run, execute_run_safely
from transfer_core.workspace import Workspace


@pytest.fixture
def own_dataset(workspace: Workspace, make_image) -> ImageDataset:
    files = [
        ImportedFile((color, f"{n}.png"), lambda c=color, n=n: make_image(c, seed=n))
        for color in ("blue", "red")
        for n in range(4)
    ]
    return add_files(create_dataset(workspace, "Own"), files)


@pytest.fixture
def run(workspace: Workspace, own_dataset: ImageDataset, tiny_config: TrainingConfig) -> TrainingRun:
    return TrainingRun.create(workspace, own_dataset, tiny_config.with_changes(epochs=2))


def raising(error: Exception) -> Callable[..., Any]:
    def function(*_arguments: Any, **_options: Any) -> None:
        raise error

    return function


def safely(workspace: Workspace, run: TrainingRun) -> RunEnded:
    """Carry out a run safely and return the one event with which it ended."""
    events: list[TrainingEvent] = []
    execute_run_safely(workspace, run, events.append, lambda: False)
    ended = [event for event in events if isinstance(event, RunEnded)]
    assert len(ended) == 1
    assert events[-1] is ended[0]
    return ended[0]


def test_all_files_are_in_their_place_before_the_end_is_emitted(workspace, run, monkeypatch) -> None:
    monkeypatch.setattr(phase_trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    files_at_the_end: list[set[str]] = []
    events: list[TrainingEvent] = []

    def emit(event: TrainingEvent) -> None:
        events.append(event)
        if isinstance(event, RunEnded):
            files_at_the_end.append({path.name for path in run.folder.iterdir()})

    execute_run(workspace, run, emit, lambda: False)
    assert files_at_the_end == [
        {
            "config.json",
            "split.json",
            "signature.json",
            "model.keras",
            "calibration.json",
            "rejection.json",
            "rejection.npz",
            "evaluation.json",
            # Cut off in any step before, the run goes on from it.
            "checkpoints",
        }
    ]
    assert not run.has_checkpoint
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunEnded)
    again = evaluate_split(
        run, ImageDataset.load(workspace, run.dataset_id), "validation", workspace.cache_dir
    )
    for stored, outcome in zip(run.evaluation().outcomes, again.outcomes, strict=True):
        assert stored.probabilities == pytest.approx(outcome.probabilities, abs=1e-6)
        assert (stored.image_id, stored.familiarity) == (outcome.image_id, outcome.familiarity)


def test_evaluation_is_of_the_validation_images(finished_run) -> None:
    evaluation = finished_run.run.evaluation()
    images = finished_run.dataset.images_in("validation")
    outcomes = [(outcome.name, outcome.class_name) for outcome in evaluation.outcomes]
    assert outcomes == [(image.name, image.class_name) for image in images]
    best = finished_run.run.snapshot().best
    assert evaluation.accuracy == pytest.approx(best.val_accuracy)
    assert evaluation.log_loss == pytest.approx(best.val_loss, abs=0.01)


def validation_names(finished_run) -> set[tuple[str, str]]:
    return {(image.name, image.class_name) for image in finished_run.dataset.images_in("validation")}


def test_split_is_written_down_when_the_training_begins(finished_run) -> None:
    assert json.loads((finished_run.folder / "split.json").read_text()) == {
        "dataset_version": finished_run.dataset.version,
        "train": [image.id for image in finished_run.dataset.images_in("train")],
        "validation": [image.id for image in finished_run.dataset.images_in("validation")],
    }


def test_images_it_learned_from_are_not_scored_when_the_split_was_changed(finished_run) -> None:
    changed = finished_run.dataset.with_split(0.5, seed=99)
    assert {image.id for image in changed.images_in("validation")} != finished_run.run.validation_ids()
    evaluation = evaluate_split(finished_run.run, changed, "validation", finished_run.workspace.cache_dir)
    assert {(image.name, image.class_name) for image in evaluation.outcomes} == validation_names(finished_run)


def test_scored_are_those_that_are_left_with_the_class_they_have_now(finished_run) -> None:
    images = finished_run.dataset.images
    first, second, third, *others = finished_run.dataset.images_in("validation")
    changes = {first.id: replace(first, class_name="red"), second.id: replace(second, class_name="violet")}
    kept = [changes.get(image.id, image) for image in images if image.id != third.id]
    evaluation = evaluate_split(
        finished_run.run,
        finished_run.dataset.with_images(kept, ()),
        "validation",
        finished_run.workspace.cache_dir,
    )
    assert first.class_name != "red"
    assert {(image.name, image.class_name) for image in evaluation.outcomes} == {
        (image.name, image.class_name) for image in (changes[first.id], *others)
    }


def test_none_of_the_validation_images_is_left(finished_run) -> None:
    emptied = finished_run.dataset.with_images(finished_run.dataset.images_in("train"), ())
    with pytest.raises(IngestError, match="All validation photos of this model were deleted"):
        evaluate_split(finished_run.run, emptied, "validation", finished_run.workspace.cache_dir)


@pytest.mark.parametrize("content", [None, "{}", '{"validation": 3}', "{"])
def test_split_that_is_not_known_is_an_error(content, run) -> None:
    if content is not None:
        (run.folder / "split.json").write_text(content)
    with pytest.raises(WorkspaceError, match=r"split"):
        run.validation_ids()


def test_run_that_waited_takes_the_dataset_as_it_is_when_it_starts(
    workspace, run, own_dataset, make_image
) -> None:
    files = [ImportedFile(("green", f"{n}.png"), lambda n=n: make_image("green", seed=n)) for n in range(4)]
    changed = replace(add_files(own_dataset, files), name="Renamed").save()
    assert run.class_names == ("blue", "red")
    execute_run(workspace, run, lambda event: None, lambda: False)
    loaded = TrainingRun.load(workspace, run.id)
    assert loaded.class_names == ("blue", "green", "red")
    assert (loaded.dataset_version, loaded.dataset_name) == (changed.version, "Renamed")
    assert (loaded.id, loaded.config) == (run.id, run.config)
    assert loaded.evaluation().class_names == ("blue", "green", "red")
    assert loaded.validation_ids() == {image.id for image in changed.images_in("validation")}


def test_run_that_was_deleted_while_it_waited_does_not_come_back(workspace, run) -> None:
    shutil.rmtree(run.folder)
    with pytest.raises(NotFoundError, match=run.id):
        execute_run(workspace, run, lambda event: None, lambda: False)
    assert not run.folder.exists()


def test_stop_before_anything_was_learned_leaves_no_model_and_no_evaluation(workspace, run) -> None:
    events: list[TrainingEvent] = []
    execute_run(workspace, run, events.append, lambda: True)
    assert isinstance(events[-1], RunEnded)
    assert (events[-1].outcome, events[-1].best_epoch) == ("stopped", 0)
    assert {path.name for path in run.folder.iterdir()} == {"config.json", "split.json"}


def test_stop_later_on_leaves_a_model_with_its_evaluation(workspace, run) -> None:
    events: list[TrainingEvent] = []
    execute_run(workspace, run, events.append, lambda: any(isinstance(event, BatchEnded) for event in events))
    assert events[-1].outcome == "stopped"
    assert run.has_model
    assert run.evaluation().num_images == 2


def test_dataset_that_was_deleted(workspace, run, own_dataset) -> None:
    shutil.rmtree(own_dataset.folder)
    with pytest.raises(NotFoundError):
        execute_run(workspace, run, lambda event: None, lambda: False)
    ended = safely(workspace, run)
    assert ended.outcome == "failed"
    assert own_dataset.id in said(ended.message)


def test_a_photo_that_was_deleted_is_left_out_of_all_that_the_run_does(workspace, run, own_dataset) -> None:
    events: list[TrainingEvent] = []
    image = own_dataset.images_in("train")[0]
    own_dataset.image_path(image).unlink()
    execute_run_safely(workspace, run, events.append, lambda: False)
    assert events[-1].outcome == "finished"
    (left_out,) = [event for event in events if isinstance(event, PhotosLeftOut)]
    assert (left_out.image_ids, left_out.names) == ((image.id,), (image.name,))
    started = [event for event in events if isinstance(event, RunStarted)]
    assert [event.num_train_images for event in started] == [6, 5]
    assert image.id not in run.train_ids()
    assert len(run.train_ids()) == 5
    assert (run.folder / "rejection.json").is_file()


def test_a_validation_photo_damaged_after_its_features_were_kept_is_left_out_of_the_evaluation(
    workspace, own_dataset, tiny_config
) -> None:
    config = tiny_config.with_changes(epochs=1)
    safely(workspace, TrainingRun.create(workspace, own_dataset, config))
    image = own_dataset.images_in("validation")[0]
    own_dataset.image_path(image).write_bytes(b"no picture")
    run = TrainingRun.create(workspace, own_dataset, config)
    events: list[TrainingEvent] = []
    execute_run_safely(workspace, run, events.append, lambda: False)
    assert events[-1].outcome == "finished"
    assert snapshot_of(events).left_out == ((image.name, image.class_name),)
    assert [outcome.image_id for outcome in run.evaluation().outcomes] == [
        other.id for other in own_dataset.images_in("validation")[1:]
    ]


def test_a_photo_exchanged_after_its_features_were_kept_does_not_refuse_the_model(
    workspace, own_dataset, tiny_config
) -> None:
    config = tiny_config.with_changes(epochs=30, learning_rate=0.1)
    safely(workspace, TrainingRun.create(workspace, own_dataset, config))
    blue, red = own_dataset.images_in("validation")
    shutil.copyfile(own_dataset.image_path(red), own_dataset.image_path(blue))
    run = TrainingRun.create(workspace, own_dataset, config)
    events: list[TrainingEvent] = []
    execute_run_safely(workspace, run, events.append, lambda: False)
    assert events[-1].outcome == "finished"
    assert run.has_model
    assert snapshot_of(events).left_out == ((blue.name, blue.class_name),)
    assert [outcome.image_id for outcome in run.evaluation().outcomes] == [red.id]


def test_too_few_photos_that_can_be_read_end_with_the_usual_sentence(workspace, run, own_dataset) -> None:
    for image in own_dataset.images[1:4]:
        own_dataset.image_path(image).unlink()
    ended = safely(workspace, run)
    assert ended.outcome == "failed"
    assert said(ended.message).startswith("Each class needs at least 2 photos")
    assert said(ended.message).endswith("Add photos to: blue.")


def test_known_error_fails_with_its_sentence(workspace, run, monkeypatch) -> None:
    monkeypatch.setattr(execute, "train", raising(TrainingError("Try a smaller learning rate.")))
    ended = safely(workspace, run)
    assert (ended.outcome, said(ended.message), ended.best_epoch) == (
        "failed",
        "Try a smaller learning rate.",
        0,
    )


def test_too_little_memory_fails_with_advice(workspace, run, monkeypatch, caplog) -> None:
    monkeypatch.setattr(execute, "train", raising(MemoryError()))
    assert "A smaller batch size" in said(safely(workspace, run).message)
    assert run.id in caplog.text


def test_too_little_memory_of_a_gpu_interrupts_with_advice(workspace, run, monkeypatch, keras_module) -> None:
    import tensorflow as tf

    shortage = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    monkeypatch.setattr(execute, "train", raising(shortage))
    ended = safely(workspace, run)
    assert ended.outcome == "interrupted"
    assert said(ended.message).startswith("The GPU or this computer ran out of memory. A smaller batch size")


def test_unexpected_error_fails_with_its_kind_and_the_log_has_the_rest(
    workspace, run, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(execute, "train", raising(ZeroDivisionError("somewhere deep")))
    ended = safely(workspace, run)
    assert ended.outcome == "failed"
    assert "ZeroDivisionError" in said(ended.message)
    assert "somewhere deep" not in said(ended.message)
    assert "somewhere deep" in caplog.text


def test_failed_evaluation_ends_the_run_once_as_failed(workspace, run, monkeypatch) -> None:
    monkeypatch.setattr(execute, "evaluation_of_training", raising(TrainingError("No evaluation.")))
    assert safely(workspace, run).outcome == "failed"


# All photos


def test_a_model_of_all_photos_is_measured_by_folds(workspace, run, own_dataset, monkeypatch) -> None:
    run = TrainingRun.create(workspace, own_dataset, run.config.with_changes(train_on_all=True))
    events: list[TrainingEvent] = []
    loads: list[Path] = []
    load = predictor_module.load_model
    monkeypatch.setattr(predictor_module, "load_model", lambda folder: loads.append(folder) or load(folder))
    execute_run(workspace, run, events.append, lambda: False)
    evaluation = run.evaluation()
    assert {outcome.image_id for outcome in evaluation.outcomes} == {image.id for image in own_dataset.images}
    assert evaluation.num_folds == 4
    assert evaluation.is_fitted_here
    rejection = Rejection.load(run.folder)
    assert len(rejection.bank) == evaluation.num_images
    familiarities = [outcome.familiarity for outcome in evaluation.outcomes]
    # Each is measured by the others: with itself as a neighbor it would be more familiar.
    assert np.mean(familiarities) < np.mean(rejection.familiarity(rejection.bank))
    expected = rejection.with_familiar_share(rejection.familiar_share, familiarities).min_familiarity
    assert rejection.min_familiarity == expected
    assert run.is_trained_on_all
    assert run.learned_ids() == run.train_ids() | run.validation_ids()
    # The page's first answer needs no second load.
    Predictor.load(run.folder)
    assert loads == [run.folder]
    assert not [event for event in events if isinstance(event, FoldEnded)]
    seen = [(image.id, image.fingerprint) for image in own_dataset.images]
    assert all(seen_in_training(run, own_dataset, seen))


def test_folds_that_the_training_did_not_measure_are_trained_afterwards(workspace, run, own_dataset) -> None:
    own_dataset.with_split(0.25, 1, split_by="folds", num_folds=2).save()
    choices = {"train_on_all": True, "augmentation": "light", "live_augmentation": True, "epochs": 1}
    run = TrainingRun.create(workspace, own_dataset, run.config.with_changes(**choices))
    events: list[TrainingEvent] = []
    execute_run(workspace, run, events.append, lambda: False)
    assert run.is_trained_on_all
    assert run.evaluation().num_folds == 1
    assert len(snapshot_of(events).fold_accuracies) == 2


def test_a_model_of_all_photos_is_known_as_such_wherever_its_run_is_cut_off(
    workspace, run, own_dataset, monkeypatch
) -> None:
    run = TrainingRun.create(workspace, own_dataset, run.config.with_changes(train_on_all=True, epochs=1))

    # Before anything that follows the saved model is written.
    with monkeypatch.context() as cut_off, pytest.raises(OSError, match="power"):
        train = execute.train

        def train_and_stop(*arguments: Any, **options: Any) -> None:
            train(*arguments, **options)
            raise OSError("the power failed")

        cut_off.setattr(execute, "train", train_and_stop)
        execute_run(workspace, run, lambda event: None, lambda: False)
    assert run.has_model
    assert run.is_trained_on_all
    # Resumed, and cut off before it has another model.
    monkeypatch.setattr(execute, "train", raising(OSError("the power failed")))
    with pytest.raises(OSError, match="power"):
        execute_run(workspace, run, lambda event: None, lambda: False)
    assert run.has_model
    assert run.learned_ids() == {image.id for image in own_dataset.images}


def test_a_model_from_before_a_resume_never_has_the_signature_of_the_next(
    workspace, run, own_dataset, monkeypatch
) -> None:
    execute_run(workspace, run, lambda event: None, lambda: False)
    monkeypatch.setattr(ModelSignature, "save", raising(WorkspaceError("the power failed")))
    with pytest.raises(WorkspaceError, match="power"):
        execute_run(workspace, run, lambda event: None, lambda: False)
    assert not run.has_model


def test_a_model_of_all_photos_is_not_scored_on_them_again(workspace, run, own_dataset) -> None:
    ModelSignature(own_dataset.class_names, 32, is_trained_on_all=True).save(run.folder)
    with pytest.raises(IngestError, match="learned from all"):
        evaluate_split(run, own_dataset, "validation", workspace.cache_dir)


def test_a_saved_model_that_answers_otherwise_fails_the_run(
    workspace, run, monkeypatch, keras_module
) -> None:
    save = train_module._save

    def save_damaged(model, *facts):
        model.get_layer("new_layer").bias.assign([50.0, 0.0])
        return save(model, *facts)

    outputs = []

    def outputs_before(self) -> Any:
        outputs.append(True)
        return np.full((2, 2), 0.5, np.float32)

    monkeypatch.setattr(train_module, "_save", save_damaged)
    monkeypatch.setattr("transfer_core.training.trainer.Trainer.validation_outputs", outputs_before)
    ended = safely(workspace, run)
    assert outputs
    assert ended.outcome == "failed"
    assert "answers differently" in said(ended.message)
    assert not run.has_model
    # Nothing of the training is lost.
    assert keras_module.models.load_model(run.folder / "refused.keras").count_params()


def test_photos_of_the_proof_are_spread_over_the_classes() -> None:
    images = [
        ImageRecord(f"{number}", name, "photo.jpg") for number, name in enumerate(["a"] * 60 + ["b"] * 3)
    ]
    chosen = proof_images(images)
    assert len(chosen) == 16
    assert sum(image.class_name == "b" for image in chosen) == 3


# Series


@pytest.fixture
def with_series(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tiny network counts as a published one, and three blue pictures are of one scene.

    The list has the dataset version of each search.
    """
    searched: list[int] = []

    def find(workspace: Workspace, dataset: ImageDataset, *, on_progress, should_stop) -> ImageDataset:
        if dataset.is_examined:
            return dataset
        searched.append(dataset.version)
        for num_done in (0, len(dataset.images)):
            on_progress(num_done)
        if should_stop():
            raise FeaturesStoppedError
        blue = [image.id for image in dataset.images if image.class_name == "blue"][:2]
        return dataset.with_series(dict.fromkeys(blue, min(blue))).save()

    tiny = replace_fields(get_backbone("tiny_random"), hidden=False)
    monkeypatch.setattr(execute, "get_backbone", lambda name, workspace=None: tiny)
    monkeypatch.setattr(execute, "keep_series_together", find)
    return searched


def test_series_are_looked_for_before_the_split_is_used(workspace, run, with_series) -> None:
    events: list[TrainingEvent] = []
    execute_run(workspace, run, events.append, lambda: False)
    dataset = ImageDataset.load(workspace, run.dataset_id)
    again = TrainingRun.load(workspace, run.id)
    assert (dataset.version, again.dataset_version, with_series) == (2, 2, [1])
    assert again.validation_ids() == {image.id for image in dataset.images_in("validation")}
    # The page shows the reading of the photos, and its time belongs to the training.
    assert [type(event) for event in events[:3]] == [PhaseStarted, ImagesSeen, RunStarted]
    assert [phase for phase, _seconds, _is_measured in events[0].stages][:2] == ["features", "head_choice"]
    assert snapshot_of(events).started_at <= events[0].time
    second = TrainingRun.create(workspace, dataset, run.config)
    execute_run(workspace, second, lambda event: None, lambda: False)
    assert with_series == [1]
    assert TrainingRun.load(workspace, second.id).validation_ids() == again.validation_ids()


def test_a_run_that_goes_on_keeps_its_validation_photos(workspace, run, with_series, monkeypatch) -> None:
    monkeypatch.setattr(phase_trainer, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    with monkeypatch.context() as cut_off:
        cut_off.setattr(execute, "_evaluate", raising(OSError("the power failed")))
        # From before series were looked for.
        cut_off.setattr(execute, "keep_series_together", lambda workspace, dataset, **options: dataset)
        with pytest.raises(OSError, match="power"):
            execute_run(workspace, run, lambda event: None, lambda: False)
    before = run.validation_ids()
    execute_run(workspace, TrainingRun.load(workspace, run.id), lambda event: None, lambda: False)
    assert run.validation_ids() == before
    assert with_series == []


def test_a_stop_while_photos_are_read_ends_the_run(workspace, run, with_series, monkeypatch) -> None:
    monkeypatch.setattr(execute, "_load_keras_unless", lambda should_stop: True)
    events: list[TrainingEvent] = []
    execute_run(workspace, run, events.append, lambda: True)
    assert isinstance(events[-1], RunEnded) and events[-1].outcome == "stopped"
    assert ImageDataset.load(workspace, run.dataset_id).version == 1


def test_a_network_without_pretrained_weights_finds_no_series(workspace, run, monkeypatch) -> None:
    monkeypatch.setattr(execute, "keep_series_together", raising(AssertionError("looked for series")))
    execute_run(workspace, run, lambda event: None, lambda: False)
