"""Discarding a camera recording."""

from __future__ import annotations

import pytest
from msgspec import structs

from tests.conftest import MakeImage
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.runs.recordings import discard_recording
from transfer_core.workspace import Workspace


@pytest.fixture
def cats(tmp_path, make_image: MakeImage) -> ImageDataset:
    """A class of photos of which one is excluded."""
    files = [
        ImportedFile(("cat", f"{seed}.png"), lambda seed=seed: make_image(seed=seed)) for seed in range(4)
    ]
    dataset = add_files(create_dataset(Workspace(tmp_path), "cats"), files)
    return dataset.without([dataset.images[0].id]).save()


def recorded(dataset: ImageDataset, make_image: MakeImage, *seeds: int) -> ImageDataset:
    files = [
        ImportedFile((f"camera-b1-{seed:04d}.jpg",), lambda seed=seed: make_image(seed=seed))
        for seed in seeds
    ]
    return add_files(dataset, files, class_name="dog", burst="b1")


def test_nothing_is_left_of_it(cats: ImageDataset, make_image: MakeImage) -> None:
    # Frame 2 is a photo of the cats: it was left out, which names it.
    both = recorded(cats, make_image, 20, 21, 2)
    dogs = [image.id for image in both.images if image.burst == "b1"]
    assert len(dogs) == 2 and both.left_out
    edited = both.relabelled([dogs[0], cats.images[0].id], "fox").save().without([dogs[1]]).save()
    kept = discard_recording(edited, "b1")
    assert kept is not None
    assert kept.class_names == ("cat", "fox") and not kept.left_out
    assert [image.id for image in kept.images] == [image.id for image in cats.images]
    assert kept.excluded == cats.excluded
    assert {image_id for edit in kept.edits for image_id, *_place in edit.before}.isdisjoint(dogs)
    assert {path.stem for path in kept.folder.rglob("*.jpg")} == {
        image.id for image in (*cats.images, *cats.excluded)
    }


def test_the_dataset_is_as_it_was_before_the_recording(cats: ImageDataset, make_image: MakeImage) -> None:
    kept = discard_recording(recorded(cats, make_image, 20, 21, 22), "b1")
    assert kept is not None
    assert structs.replace(kept, version=cats.version) == cats


def test_an_empty_dataset_is_deleted(tmp_path, make_image: MakeImage) -> None:
    workspace = Workspace(tmp_path)
    dataset = recorded(create_dataset(workspace, "new"), make_image, 1, 2)
    assert discard_recording(dataset, "b1") is None
    assert not workspace.dataset_ids() and not dataset.folder.exists()
