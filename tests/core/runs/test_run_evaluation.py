"""A run is scored through the feature cache as it is from the files, and never on photos it has met by another name."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from tests.conftest import near_duplicate, swap_classes
from transfer_core.backbones import registry
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.registry import get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.image_path import GreyRanges
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError, WeightsError, WorkspaceError
from transfer_core.evaluation.evaluation import evaluate, outputs_of_files, seen_in_training_sentence
from transfer_core.evaluation.outcomes import answered
from transfer_core.export.model_card import model_card
from transfer_core.files import read_json, write_json
from transfer_core.inference import cached_outputs as cached_outputs_module
from transfer_core.inference.cached_outputs import cached_outputs
from transfer_core.inference.explanation import GradCam
from transfer_core.inference.predictor import Predictor
from transfer_core.inference.rejection import Rejection
from transfer_core.locks import hold
from transfer_core.runs.leakage import seen_in_training
from transfer_core.runs.new_photos import (
    add_new_photos,
    evaluate_new_photos,
    forget_new_photos,
    new_photos_of,
)
from transfer_core.runs.own_models import lineage_of
from transfer_core.runs.run_evaluation import evaluate_split, labelled, split_images
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.classifier import build_classifier
from transfer_core.training.head_choice import with_head
from transfer_core.training.schedule import planned_phases
from transfer_core.training.signature import ModelSignature
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

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
    # As if a comparison had chosen it.
    config = with_head(run.config, "flattened_map") if run.config.head == "auto" else run.config
    plan = planned_phases(config)[-1].plan
    model = build_classifier(plan, 3, config, plan.backbone.build(pretrained=not plan.is_from_scratch))
    ModelSignature.of(model, color_dataset, get_backbone(config.backbone)).save(run.folder)
    model.save(run.folder / "model.keras")
    images = list(color_dataset.images)
    cached = cached_outputs(run.folder, run.config, color_dataset, images, session_workspace.cache_dir)
    files = outputs_of_files(Predictor.load(run.folder), [labelled(color_dataset, image) for image in images])
    np.testing.assert_allclose(cached.probabilities, files.probabilities, atol=TOLERANCE)
    np.testing.assert_allclose(cached.features, files.features, rtol=0.01, atol=0.01)
    assert (cached.probabilities.argmax(axis=1) == files.probabilities.argmax(axis=1)).all()


def test_the_limit_of_familiarity_is_one_of_the_answers_that_people_get(
    session_workspace, color_dataset: ImageDataset, tiny_config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer_core.inference.rejection.MIN_IMAGES", 4)
    config = tiny_config.with_changes(epochs=1)
    run = TrainingRun.create(session_workspace, color_dataset, config)
    execute_run(session_workspace, run, lambda event: None, lambda: False)
    rejection, evaluation = Rejection.load(run.folder), run.evaluation()
    assert rejection is not None and evaluation is not None
    found = [outcome.familiarity for outcome in evaluation.outcomes]
    # Too few photos to reject any at 92 %; at half, three of six get no answer.
    assert rejection.min_familiarity == -1
    assert len(answered(evaluation, rejection)) == 6
    half = rejection.with_familiar_share(0.5, found)
    assert half.min_familiarity == sorted(found)[2]


def changed_registry() -> dict[str, Backbone]:
    """The tiny network as another version of the app might have it, and nothing else."""
    network = get_backbone("tiny_random")
    first = replace(network.blocks[0], last_layer="renamed")
    return {"tiny_random": replace(network, blocks=(first,), title="Renamed", licence="?", image_size=64)}


@pytest.mark.parametrize("entries", [changed_registry, dict])
def test_a_finished_run_does_not_depend_on_the_registry_of_now(
    finished_run, own_run, monkeypatch: pytest.MonkeyPatch, entries: Callable[[], dict[str, Backbone]]
) -> None:
    dataset, cache_dir = finished_run.dataset, finished_run.workspace.cache_dir
    before = get_backbone("tiny_random")
    expected = evaluate_split(own_run, dataset, "validation", cache_dir)
    card = model_card(own_run, dataset, ())
    now = entries()
    monkeypatch.setattr(registry, "_published", lambda: now)
    cached_outputs_module._split_model.cache_clear()
    facts = own_run.backbone
    assert (facts.title, facts.blocks, facts.image_size) == (before.title, before.blocks, 32)
    assert evaluate_split(own_run, dataset, "validation", cache_dir) == expected
    assert GradCam.of(Predictor.load(own_run.folder), own_run.folder).layer_name == "block2_relu"
    assert lineage_of(own_run) == (before.title, "random weights")
    assert model_card(own_run, dataset, ()) == card
    with pytest.raises(WeightsError, match="not kept"):
        facts.weights.load(Predictor.load(own_run.folder).model)


@pytest.mark.parametrize(
    "change",
    [
        {"network": None},
        {"network": {"title": "Older"}},
        {"image_size": "32"},
        {"network": {"blocks": [{"name": 1}]}},
        {"network": {"title": "a\x1b[2J"}},
    ],
)
def test_a_signature_without_sound_facts_leaves_it_to_the_registry(own_run, change) -> None:
    path = own_run.folder / "signature.json"
    facts = json.loads(path.read_text())
    if change.get("network"):
        change = {"network": {**facts["network"], **change["network"]}}
        if "title" in change["network"] and change["network"]["title"] == "Older":
            del change["network"]["blocks"]
    path.write_text(json.dumps({**facts, **change}))
    assert own_run.backbone == get_backbone("tiny_random")


def test_a_model_that_took_the_place_of_another_is_cut_again(finished_run, own_run, keras_module) -> None:
    images = finished_run.dataset.images[:2]
    arguments = (
        own_run.folder,
        own_run.config,
        finished_run.dataset,
        images,
        finished_run.workspace.cache_dir,
    )
    before = cached_outputs(*arguments).probabilities
    written_at = (own_run.folder / "model.keras").stat().st_mtime_ns
    swap_classes(keras_module, own_run.folder)
    os.utime(own_run.folder / "model.keras", ns=(written_at - 10**9, written_at - 10**9))
    np.testing.assert_allclose(cached_outputs(*arguments).probabilities, before[:, ::-1], atol=1e-6)


def test_each_part_is_what_the_run_met(finished_run) -> None:
    run, dataset, cache_dir = finished_run.run, finished_run.dataset, finished_run.workspace.cache_dir
    redrawn = dataset.with_split(0.5, seed=99)
    for split in ("train", "validation"):
        evaluation = evaluate_split(run, redrawn, split, cache_dir)
        expected = {image.id for image in dataset.images_in(split)}
        assert {outcome.image_id for outcome in evaluation.outcomes} == expected
        assert all(outcome.familiarity is not None for outcome in evaluation.outcomes)
        assert evaluation.is_fitted_here == (split == "validation")
    assert split_images(run, redrawn, "test") == []
    with pytest.raises(IngestError, match="has never seen"):
        evaluate_split(run, redrawn, "test", cache_dir)


def test_images_for_tests_that_were_learned_from_do_not_count(finished_run) -> None:
    run, dataset = finished_run.run, finished_run.dataset
    all_for_tests = structs.replace(
        dataset, images=tuple(structs.replace(image, split="test") for image in dataset.images)
    )
    assert split_images(run, all_for_tests, "test") == []
    other = structs.replace(dataset.images[0], id="f" * 32, split="test", fingerprint="")
    with_other = structs.replace(dataset, images=(*dataset.images, other))
    assert split_images(run, with_other, "test") == [other]


def test_near_duplicates_in_a_test_folder_are_counted_apart(finished_run, make_image, tmp_path: Path) -> None:
    run, dataset = finished_run.run, finished_run.dataset
    files = [
        ImportedFile(("blue", "near.jpg"), lambda: near_duplicate(make_image("blue", seed=0, noise=90))),
        ImportedFile(("red", "new.png"), lambda: make_image("red", seed=606, noise=90)),
    ]
    brought = add_files(create_dataset(Workspace(tmp_path), "Test"), files)
    near, new = (structs.replace(image, split="test") for image in brought.images)
    for image in (near, new):
        shutil.copy(brought.image_path(image), dataset.image_path(image))
    both = structs.replace(dataset, images=(*dataset.images, near, new))
    evaluation = evaluate_split(run, both, "test", finished_run.workspace.cache_dir)
    assert [outcome.image_id for outcome in evaluation.outcomes] == [new.id]
    assert evaluation.num_seen_in_training == 1
    assert seen_in_training_sentence(evaluation).startswith(
        "1 of 2 photos looks like a training photo. Without it "
    )
    only_near = structs.replace(dataset, images=(*dataset.images, near))
    with pytest.raises(IngestError, match="has never seen"):
        evaluate_split(run, only_near, "test", finished_run.workspace.cache_dir)
    # One that was left out since is still known by its likeness.
    without = structs.replace(dataset, images=dataset.images[1:], excluded=dataset.images[:1])
    assert seen_in_training(run, without, [(near.id, near.fingerprint), (new.id, new.fingerprint)]) == [
        True,
        False,
    ]


def test_two_windows_do_not_add_new_photos_at_once(own_run, make_image) -> None:
    files = [ImportedFile(("red", "new.png"), lambda: make_image("red", seed=501, noise=90))]
    other_window = hold(own_run.folder / "new_photos")
    assert other_window is not None
    with pytest.raises(WorkspaceError, match="Another window is adding photos to test this run"):
        add_new_photos(own_run, files)
    other_window.release()
    assert len(add_new_photos(own_run, files).images) == 1


def test_new_photos_are_scored_kept_and_forgotten(own_run, finished_run, make_image) -> None:
    files = [
        ImportedFile((name, f"{n}.png"), lambda c=color, n=n: make_image(c, seed=500 + n, noise=90))
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


def test_deep_new_photos_are_as_bright_as_the_training_photos(own_run) -> None:
    signature = read_json(own_run.folder / "signature.json")
    write_json(own_run.folder / "signature.json", {**signature, "grey_ranges": [[0, 4095], None]})
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(1000, 1064, dtype=np.uint16), (64, 1))).save(buffer, "TIFF")
    photos = add_new_photos(own_run, [ImportedFile(("red", "1.tif"), buffer.getvalue)])
    assert photos.dataset.grey_ranges == own_run.signature.grey_ranges == GreyRanges(integers=(0, 4095))
    assert photos.images[0].brightness == pytest.approx(1032 / 4095 * 255, abs=1)


def test_photos_that_the_run_has_met_are_passed_over(own_run, finished_run, make_image) -> None:
    met = [
        ImportedFile(("blue", f"again-{n}.png"), lambda n=n: make_image("blue", seed=n, noise=90))
        for n in (0, 1)
    ]
    with pytest.raises(IngestError, match="has already seen all of these photos"):
        add_new_photos(own_run, met)
    assert new_photos_of(own_run) is None
    new = ImportedFile(("blue", "new.png"), lambda: make_image("blue", seed=777, noise=90))
    photos = add_new_photos(own_run, [*met, new])
    assert (len(photos.images), photos.num_seen_in_training) == (1, 2)


def test_near_duplicates_of_photos_that_the_run_has_met_are_passed_over(
    own_run, finished_run, make_image
) -> None:
    near = [
        ImportedFile(("blue", f"{n}.jpg"), lambda n=n: near_duplicate(make_image("blue", seed=n, noise=90)))
        for n in range(3)
    ]
    with pytest.raises(IngestError, match="or copies of them"):
        add_new_photos(own_run, near, learned_from=finished_run.dataset)
    new = ImportedFile(("blue", "new.png"), lambda: make_image("blue", seed=777, noise=90))
    photos = add_new_photos(own_run, [*near, new], learned_from=finished_run.dataset)
    assert (len(photos.images), photos.num_seen_in_training) == (1, 3)
    evaluation = evaluate_new_photos(own_run, photos, finished_run.workspace.cache_dir)
    assert (evaluation.num_images, evaluation.num_seen_in_training) == (1, 3)
    assert seen_in_training_sentence(evaluation).startswith(
        "3 of 4 photos look like training photos. Without them "
    )


def test_photos_of_classes_it_does_not_know(own_run, image_folder: Path) -> None:
    for name in ("blue", "green"):
        (image_folder / name).rename(image_folder / f"light {name}")
    (image_folder / "red").rename(image_folder / "pink")
    with pytest.raises(IngestError, match="does not know the classes of these photos"):
        add_new_photos(own_run, folder_source(image_folder))
