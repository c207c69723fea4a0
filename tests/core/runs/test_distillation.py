"""A run that teaches another one, and how the two compare."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InvalidConfigError, NotFoundError
from transfer_core.events import PhaseStarted, RunEnded, RunStarted, TrainingEvent
from transfer_core.inference.calibration import UNCALIBRATED
from transfer_core.inference.predictor import Predictor
from transfer_core.runs.distillation import (
    check_teacher,
    smaller_backbones,
    student_config,
    students_of,
    teacher_answers,
)
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.advice import recommend
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.work.execute import execute_run, execute_run_safely


def taught(finished_run, tiny_config: TrainingConfig) -> tuple[TrainingRun, list[TrainingEvent]]:
    config = tiny_config.with_changes(teacher=finished_run.run.id, epochs=1)
    run = TrainingRun.create(finished_run.workspace, finished_run.dataset, config)
    events: list[TrainingEvent] = []
    execute_run(finished_run.workspace, run, events.append, lambda: False)
    return run, events


def test_the_teacher_is_asked_about_each_training_image(finished_run, tiny_config) -> None:
    dataset = finished_run.dataset
    config = tiny_config.with_changes(teacher=finished_run.run.id)
    seen: list[int] = []
    answers = teacher_answers(finished_run.workspace, config, dataset, seen.append, lambda: False)
    images = dataset.images_in("train")
    assert set(answers) == {image.id for image in images}
    assert seen
    predictor = Predictor.load(finished_run.folder)
    predictor.calibration = UNCALIBRATED
    expected = predictor.predict(dataset.image_path(images[0]).read_bytes()).scores
    assert answers[images[0].id] == pytest.approx(expected, abs=2e-3)


def test_a_taught_run_is_measured_beside_its_teacher(finished_run, tiny_config) -> None:
    run, events = taught(finished_run, tiny_config)
    phases = [event.phase for event in events if isinstance(event, PhaseStarted)]
    assert isinstance(events[0], RunStarted)
    assert phases[0] == "teacher"
    found = run.files.distillation()
    assert found is not None
    assert found.student.accuracy == run.evaluation().accuracy
    assert found.teacher.accuracy == finished_run.run.evaluation().accuracy
    assert (found.num_images, found.is_out_of_fold) == (6, False)
    assert min(found.teacher.seconds_per_image, found.student.seconds_per_image) > 0
    assert found.teacher.num_bytes == (finished_run.folder / "model.keras").stat().st_size
    assert next(student.id for student in students_of(finished_run.workspace, finished_run.run)) == run.id
    plain = Predictor.load(finished_run.folder).model.get_weights()
    assert not all(
        np.array_equal(*pair)
        for pair in zip(plain, Predictor.load(run.folder).model.get_weights(), strict=True)
    )


def test_a_model_of_all_photos_teaches_and_is_measured_out_of_fold(finished_run, tiny_config) -> None:
    dataset, workspace = finished_run.dataset, finished_run.workspace
    teacher = TrainingRun.create(workspace, dataset, tiny_config.with_changes(train_on_all=True, epochs=1))
    execute_run(workspace, teacher, lambda event: None, lambda: False)
    assert teacher.is_trained_on_all
    # Other answers than the model itself would give.
    evaluation = teacher.evaluation()
    assert evaluation is not None
    wrong = tuple(
        replace(outcome, predicted_class_name="red" if outcome.class_name == "blue" else "blue")
        for outcome in evaluation.outcomes
    )
    teacher.files.write_evaluation(replace(evaluation, outcomes=wrong))
    config = student_config(teacher, dataset, get_backbone("efficientnet_lite0"))
    assert config.teacher == teacher.id
    run = TrainingRun.create(workspace, dataset, tiny_config.with_changes(teacher=teacher.id, epochs=1))
    execute_run(workspace, run, lambda event: None, lambda: False)
    found = run.files.distillation()
    assert found is not None and found.is_out_of_fold
    assert (found.teacher.accuracy, found.student.accuracy) == (0.0, run.evaluation().accuracy)
    assert found.num_images == len(run.validation_ids())


def test_a_resumed_run_waits_for_a_teacher_that_was_deleted(finished_run, tiny_config, monkeypatch) -> None:
    """What it has learned so far is not lost: it may go on when the deletion is taken back."""
    config = tiny_config.with_changes(teacher="20260101-000000-0123456789abcdef")
    run = TrainingRun.create(finished_run.workspace, finished_run.dataset, config)
    events: list[TrainingEvent] = []
    monkeypatch.setattr(TrainingRun, "has_checkpoint", property(lambda run: False))
    execute_run_safely(finished_run.workspace, run, events.append, lambda: False)
    monkeypatch.setattr(TrainingRun, "has_checkpoint", property(lambda run: True))
    execute_run_safely(finished_run.workspace, run, events.append, lambda: False)
    assert [event.outcome for event in events if isinstance(event, RunEnded)] == ["failed", "interrupted"]


def test_what_cannot_be_measured_costs_nothing_good(finished_run, tiny_config, monkeypatch) -> None:
    def deleted(*_arguments: object) -> None:
        raise NotFoundError("The teacher was deleted.")

    monkeypatch.setattr("transfer_core.work.execute.measure_both", deleted)
    run, events = taught(finished_run, tiny_config)
    assert events[-1].outcome == "finished"
    assert run.has_model
    assert run.files.distillation() is None


def test_a_stop_is_heard_while_the_teacher_is_asked(finished_run, tiny_config) -> None:
    config = tiny_config.with_changes(teacher=finished_run.run.id)
    with pytest.raises(FeaturesStoppedError):
        teacher_answers(
            finished_run.workspace, config, finished_run.dataset, lambda num_done: None, lambda: True
        )


def test_a_run_without_a_model_does_not_teach(finished_run, tiny_config) -> None:
    empty = TrainingRun.create(finished_run.workspace, finished_run.dataset, tiny_config)
    with pytest.raises(NotFoundError, match="has no model that could teach"):
        check_teacher(empty, finished_run.dataset)


def test_a_teacher_of_other_classes_is_refused(finished_run) -> None:
    dataset = finished_run.dataset
    fewer = dataset.without([image.id for image in dataset.images if image.class_name == "red"])
    with pytest.raises(InvalidConfigError, match="knows other classes"):
        check_teacher(finished_run.run, fewer)


def test_a_teacher_that_knows_the_validation_photos_is_refused(finished_run) -> None:
    dataset: ImageDataset = finished_run.dataset
    with pytest.raises(InvalidConfigError, match="would look too good"):
        check_teacher(finished_run.run, dataset.with_split(dataset.validation_split, 5))


def test_smaller_networks_come_with_the_app_and_the_smallest_first(finished_run) -> None:
    large = replace(finished_run.run, config=TrainingConfig(backbone="efficientnet_lite2"))
    assert [backbone.name for backbone in smaller_backbones(large)] == [
        "efficientnet_lite0",
        "efficientnet_lite1",
    ]
    assert smaller_backbones(finished_run.run) == []


def test_a_network_that_is_smaller_but_no_quicker_is_not_offered(finished_run) -> None:
    large = replace(finished_run.run, config=TrainingConfig(backbone="efficientnet_b0"))
    assert smaller_backbones(large) == []


def test_the_student_gets_what_is_recommended_and_its_teacher(finished_run) -> None:
    config = student_config(finished_run.run, finished_run.dataset, get_backbone("efficientnet_lite0"))
    assert config.teacher == finished_run.run.id
    assert config.backbone == "efficientnet_lite0"
    assert config.optimizer == "adamw"
    # The recommended number is for heads with a closed form, which cannot learn from a teacher.
    assert config.epochs > recommend(finished_run.dataset, finished_run.run.backbone).config.epochs


def test_numbers_that_make_no_sense_are_passed_over(finished_run, tiny_config, tmp_path) -> None:
    run = replace(finished_run.run, folder=tmp_path)
    (tmp_path / "distillation.json").write_text(json.dumps({"teacher": {"accuracy": 1}, "student": {}}))
    assert run.files.distillation() is None
