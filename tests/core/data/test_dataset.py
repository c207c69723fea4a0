"""A dataset on disk: what it holds, what it can be learned from, and what happens when its file is damaged."""

import dataclasses
import json

import pytest

from transfer_core.data.dataset import ImageDataset, ImageRecord, LeftOut
from transfer_core.errors import IngestError, InvalidConfigError, NotFoundError, WorkspaceError
from transfer_core.workspace import Workspace, new_id

MISSING_ID = "20261122-140512-0123456789abcdef"


def records(**counts: int) -> list[ImageRecord]:
    return [
        ImageRecord(f"{class_name}{number:02d}".encode().hex(), class_name, f"{number}.jpg")
        for class_name, count in counts.items()
        for number in range(count)
    ]


def empty_dataset(workspace: Workspace) -> ImageDataset:
    identifier = new_id()
    return ImageDataset(identifier, "Füchse 狐", workspace.dataset_dir(identifier))


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    """Ten foxes and five cats, saved."""
    left_out = [LeftOut("fox/a.txt", "it is not a picture"), LeftOut(".DS_Store", "system", True)]
    return empty_dataset(workspace).with_images(records(fox=10, cat=5), left_out).save()


def test_round_trip(workspace: Workspace, dataset: ImageDataset) -> None:
    assert ImageDataset.load(workspace, dataset.id) == dataset


def test_each_saving_makes_a_new_version(workspace: Workspace, dataset: ImageDataset) -> None:
    assert (dataset.version, dataset.save().version) == (1, 2)
    assert ImageDataset.load(workspace, dataset.id).version == 2


def test_its_place_is_not_written_down(dataset: ImageDataset) -> None:
    text = (dataset.folder / "dataset.json").read_text("utf-8")
    assert str(dataset.folder) not in text
    assert dataset.id not in text


def test_it_can_be_moved_with_the_workspace(workspace: Workspace, dataset: ImageDataset) -> None:
    moved = Workspace(workspace.root.with_name("moved"))
    workspace.root.rename(moved.root)
    loaded = ImageDataset.load(moved, dataset.id)
    assert loaded.folder == moved.root / "datasets" / dataset.id
    assert loaded.images == dataset.images


def test_classes_are_sorted_and_images_keep_their_order(dataset: ImageDataset) -> None:
    assert dataset.class_names == ("cat", "fox")
    assert [image.class_name for image in dataset.images] == ["fox"] * 10 + ["cat"] * 5
    assert [dataset.class_index(dataset.images[place]) for place in (0, -1)] == [1, 0]


def test_counts(dataset: ImageDataset) -> None:
    assert dataset.counts() == {"cat": 5, "fox": 10}
    assert dataset.counts("train") == {"cat": 4, "fox": 8}
    assert dataset.counts("validation") == {"cat": 1, "fox": 2}


def test_each_image_is_on_one_side(dataset: ImageDataset) -> None:
    train, validation = dataset.images_in("train"), dataset.images_in("validation")
    assert (len(train), len(validation)) == (12, 3)
    assert {*train, *validation} == set(dataset.images)


def test_another_split(dataset: ImageDataset) -> None:
    changed = dataset.with_split(0.4, seed=5)
    assert (changed.validation_split, changed.seed) == (0.4, 5)
    assert changed.counts("validation") == {"cat": 2, "fox": 4}
    assert dataset.counts("validation") == {"cat": 1, "fox": 2}
    with pytest.raises(InvalidConfigError):
        dataset.with_split(0.0, seed=5)


@pytest.mark.parametrize("seed", [-1, 2**31, 1.5, True])
def test_seed_that_is_out_of_range_is_told(dataset: ImageDataset, seed: object) -> None:
    with pytest.raises(
        InvalidConfigError, match=rf"The seed is {seed}\. Expected was a number from 0 to 2147483647\."
    ):
        dataset.with_split(0.2, seed)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_first_and_last_seed(dataset: ImageDataset, seed: int) -> None:
    assert dataset.with_split(0.2, seed).seed == seed


def test_new_images_are_split_by_the_datasets_own_share(dataset: ImageDataset) -> None:
    changed = dataset.with_split(0.4, seed=5)
    assert changed.with_images(changed.images, ()) == dataclasses.replace(changed, left_out=())


def test_an_image_lies_under_its_hash(dataset: ImageDataset) -> None:
    image = dataset.images[0]
    assert dataset.image_path(image) == dataset.folder / "images" / f"{image.id}.jpg"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "There are no images yet. Add a folder, a zip file or a sample."),
        (
            {"cat": 9},
            "There is only one class (cat). A network learns to tell classes apart, so it needs at least two. "
            "Add images of another class.",
        ),
        (
            {"cat": 1, "dog": 5, "fox": 1},
            "Each class needs at least 2 images, one to learn from and one to check with, and better 10 or "
            "more. Add images to: cat, fox.",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_told(
    workspace: Workspace, counts: dict[str, int], message: str
) -> None:
    with pytest.raises(IngestError) as caught:
        empty_dataset(workspace).with_images(records(**counts), ()).check_trainable()
    assert str(caught.value) == message


def test_two_classes_of_two_are_enough(workspace: Workspace) -> None:
    empty_dataset(workspace).with_images(records(cat=2, dog=2), ()).check_trainable()


def test_a_dataset_that_is_gone(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError) as caught:
        ImageDataset.load(workspace, MISSING_ID)
    assert str(caught.value) == f"There are no images with the id {MISSING_ID} any more."


def test_an_id_that_is_none(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError):
        ImageDataset.load(workspace, "../../etc")


@pytest.mark.parametrize(
    "change",
    [
        {"images": None},
        {"images": [{"id": "a"}]},
        {"images": ["text"]},
        {"left_out": [1]},
        {"class_names": None},
        {"of_another_version": 1},
    ],
    ids=str,
)
def test_a_damaged_file_is_told(
    workspace: Workspace, dataset: ImageDataset, change: dict[str, object]
) -> None:
    path = dataset.folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    with pytest.raises(WorkspaceError) as caught:
        ImageDataset.load(workspace, dataset.id)
    assert str(caught.value) == f"The file of the images {dataset.id} is damaged."


def test_a_file_that_lacks_a_fact_is_told(workspace: Workspace, dataset: ImageDataset) -> None:
    (dataset.folder / "dataset.json").write_text('{"name": "a"}')
    with pytest.raises(WorkspaceError, match="is damaged"):
        ImageDataset.load(workspace, dataset.id)


def test_a_half_written_file_is_told(workspace: Workspace, dataset: ImageDataset) -> None:
    path = dataset.folder / "dataset.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(WorkspaceError, match=r"^dataset\.json cannot be read"):
        ImageDataset.load(workspace, dataset.id)
