"""A run is scored through the feature cache as it is from the files, and never on photos it has met by another name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.sources import SourceFile, folder_source
from transfer_core.errors import IngestError, WorkspaceError
from transfer_core.evaluation.cached_looks import look_at_cached
from transfer_core.evaluation.evaluation import evaluate, look_at_files
from transfer_core.locks import hold
from transfer_core.predictor import Predictor
from transfer_core.runs.assess import evaluate_split, images_of, labelled
from transfer_core.runs.execute import execute_run
from transfer_core.runs.new_photos import (
    add_new_photos,
    evaluate_new_photos,
    forget_new_photos,
    new_photos_of,
)
from transfer_core.runs.training_run import TrainingRun

# The cache keeps features as float16, which has eleven binary digits.
TOLERANCE = 0.005


@pytest.fixture
def own_run(finished_run, tmp_path: Path) -> TrainingRun:
    """A run of its own folder, which a test may add to."""
    shutil.copytree(finished_run.folder, tmp_path / finished_run.run.id)
    return replace(finished_run.run, folder=tmp_path / finished_run.run.id)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"head": "flattened_map"},
        {"head": "auto", "num_unfrozen_blocks": 1, "schedule": "head_only"},
        {"weights": "random"},
    ],
)
def test_cached_features_give_the_answers_of_the_files(
    session_workspace, color_dataset: ImageDataset, tiny_config: TrainingConfig, changes
) -> None:
    run = TrainingRun.create(session_workspace, color_dataset, tiny_config.with_changes(**changes))
    execute_run(session_workspace, run, lambda event: None, lambda: False)
    images = list(color_dataset.images)
    cached = look_at_cached(run.folder, run.config, color_dataset, images, session_workspace.cache_dir)
    files = look_at_files(Predictor.load(run.folder), [labelled(color_dataset, image) for image in images])
    np.testing.assert_allclose(cached.probabilities, files.probabilities, atol=TOLERANCE)
    np.testing.assert_allclose(cached.features, files.features, rtol=0.01, atol=0.01)
    assert (cached.probabilities.argmax(axis=1) == files.probabilities.argmax(axis=1)).all()


def test_each_part_is_what_the_run_met(finished_run) -> None:
    run, dataset, cache_dir = finished_run.run, finished_run.dataset, finished_run.workspace.cache_dir
    redrawn = dataset.with_split(0.5, seed=99)
    for split in ("train", "validation"):
        evaluation = evaluate_split(run, redrawn, split, cache_dir)
        expected = {image.id for image in dataset.images_in(split)}
        assert {outcome.image_id for outcome in evaluation.outcomes} == expected
        assert all(outcome.familiarity is not None for outcome in evaluation.outcomes)
    assert images_of(run, redrawn, "test", run.class_names) == []
    with pytest.raises(IngestError, match="never met"):
        evaluate_split(run, redrawn, "test", cache_dir)


def test_images_for_tests_that_were_learned_from_do_not_count(finished_run) -> None:
    run, dataset = finished_run.run, finished_run.dataset
    all_for_tests = replace(dataset, images=tuple(replace(image, split="test") for image in dataset.images))
    assert images_of(run, all_for_tests, "test", run.class_names) == []
    other = replace(dataset.images[0], id="f" * 32, split="test")
    with_other = replace(dataset, images=(*dataset.images, other))
    assert images_of(run, with_other, "test", run.class_names) == [other]


def test_two_windows_do_not_add_new_photos_at_once(own_run, make_image) -> None:
    files = [SourceFile(("red", "new.png"), lambda: make_image("red", seed=501, noise=90))]
    other_window = hold(own_run.folder / "new_photos")
    assert other_window is not None
    with pytest.raises(WorkspaceError, match="Another window is adding photos to test this run"):
        add_new_photos(own_run, files)
    other_window.release()
    assert len(add_new_photos(own_run, files).images) == 1


def test_new_photos_are_scored_kept_and_forgotten(own_run, finished_run, make_image) -> None:
    files = [
        SourceFile((name, f"{n}.png"), lambda c=color, n=n: make_image(c, seed=500 + n, noise=90))
        for name, color in (("Blue", "blue"), ("red", "red"))
        for n in range(3)
    ]
    photos = add_new_photos(own_run, files)
    assert sorted({image.class_name for image in photos.images}) == ["blue", "red"]
    evaluation = evaluate_new_photos(own_run, photos, finished_run.workspace.cache_dir)
    assert evaluation.num_images == 6
    expected = evaluate(
        Predictor.load(own_run.folder), [labelled(photos.dataset, image) for image in photos.images]
    )
    assert evaluation.confusion_matrix == expected.confusion_matrix
    assert new_photos_of(own_run) == photos
    assert photos.dataset.id not in finished_run.workspace.dataset_ids()
    forget_new_photos(own_run)
    assert new_photos_of(own_run) is None


def test_photos_that_the_run_has_met_are_passed_over(own_run, finished_run, make_image) -> None:
    met = [
        SourceFile(("blue", f"again-{n}.png"), lambda n=n: make_image("blue", seed=n, noise=90))
        for n in (0, 1)
    ]
    with pytest.raises(IngestError, match="has met all of these photos"):
        add_new_photos(own_run, met)
    assert new_photos_of(own_run) is None
    new = SourceFile(("blue", "new.png"), lambda: make_image("blue", seed=777, noise=90))
    photos = add_new_photos(own_run, [*met, new])
    assert (len(photos.images), photos.num_met) == (1, 2)


def test_photos_of_classes_it_does_not_know(own_run, image_folder: Path) -> None:
    for name in ("blue", "green"):
        (image_folder / name).rename(image_folder / f"light {name}")
    (image_folder / "red").rename(image_folder / "pink")
    with pytest.raises(IngestError, match="does not know the classes of these photos"):
        add_new_photos(own_run, folder_source(image_folder))
