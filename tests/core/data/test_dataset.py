"""A dataset on disk: its facts, its split, its edits, and damaged files."""

import json
import math

import pytest
from msgspec import structs
from PIL import Image

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.similarity import fingerprint
from transfer_core.data.records import ImageRecord, LeftOut, SplitBy
from transfer_core.errors import IngestError, InvalidConfigError, NotFoundError, WorkspaceError
from transfer_core.workspace import Workspace, new_id

MISSING_ID = "20261122-140512-0123456789abcdef"


def records(**counts: int) -> list[ImageRecord]:
    named = [(class_name, number) for class_name, count in counts.items() for number in range(count)]
    return [
        ImageRecord(f"{class_name}{number:02d}".encode().hex(), class_name, f"{number}.jpg", number=place)
        for place, (class_name, number) in enumerate(named)
    ]


def empty_dataset(workspace: Workspace) -> ImageDataset:
    identifier = new_id()
    return ImageDataset("Füchse 狐", (), (), (), id=identifier, folder=workspace.dataset_dir(identifier))


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    """Ten foxes and five cats, saved."""
    left_out = [LeftOut("fox/a.txt", "it is not a picture"), LeftOut(".DS_Store", "system", "system")]
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
def test_seed_that_is_out_of_range_is_reported(dataset: ImageDataset, seed: object) -> None:
    with pytest.raises(
        InvalidConfigError, match=rf"The seed is {seed}\. Choose a number from 0 to 2147483647\."
    ):
        dataset.with_split(0.2, seed)


@pytest.mark.parametrize("seed", [0, 2**31 - 1])
def test_first_and_last_seed(dataset: ImageDataset, seed: int) -> None:
    assert dataset.with_split(0.2, seed).seed == seed


def test_new_images_are_split_by_the_datasets_own_share(dataset: ImageDataset) -> None:
    changed = dataset.with_split(0.4, seed=5)
    assert changed.with_images(changed.images, ()) == structs.replace(changed, left_out=())


def test_an_image_is_stored_under_its_hash(dataset: ImageDataset) -> None:
    image = dataset.images[0]
    assert dataset.image_path(image) == dataset.folder / "images" / f"{image.id}.jpg"


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "There are no photos yet. Add a folder, a zip file or a sample."),
        (
            {"cat": 9},
            "There is only one class: cat. A model needs at least two classes. Add photos of another class.",
        ),
        (
            {"cat": 1, "dog": 5, "fox": 1},
            "Each class needs at least 2 photos, better 10 or more. Add photos to: cat, fox.",
        ),
    ],
)
def test_untrainable_datasets_are_reported(
    workspace: Workspace, counts: dict[str, int], message: str
) -> None:
    with pytest.raises(IngestError) as caught:
        empty_dataset(workspace).with_images(records(**counts), ()).check_trainable()
    assert str(caught.value) == message


def test_two_classes_of_two_are_enough(workspace: Workspace) -> None:
    dataset = empty_dataset(workspace).with_images(records(cat=2, dog=2), ())
    dataset.check_trainable()
    assert {image.split for image in dataset.images} == {"train", "validation"}


def test_a_deleted_dataset(workspace: Workspace) -> None:
    with pytest.raises(NotFoundError) as caught:
        ImageDataset.load(workspace, MISSING_ID)
    assert str(caught.value) == f"There are no photos with the id {MISSING_ID}."


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
        {"validation_split": 0},
        {"validation_split": 1.0},
        {"validation_split": math.nan},
        {"seed": -1},
        {"seed": 1.0},
        {"split_by": "luck"},
        {"num_folds": 11},
        {"version": 0},
        {"version": True},
        {"sample": 1},
        {"name": "a" * 100_001},
        {"edits": [{"version": 1, "kind": "relabel", "class_name": "a", "before": [["a", "b", 1]]}]},
        {"edits": [{"version": 1, "kind": "repaint", "class_name": "a"}]},
        {"left_out": [{"name": "a", "reason": "b", "kind": "odd"}]},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_damaged_file_is_reported(
    workspace: Workspace, dataset: ImageDataset, change: dict[str, object]
) -> None:
    path = dataset.folder / "dataset.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    with pytest.raises(WorkspaceError) as caught:
        ImageDataset.load(workspace, dataset.id)
    assert str(caught.value).startswith(
        f"dataset.json of {dataset.id} is damaged: its content is not valid. The photos are still"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"number": -1},
        {"width": 10**7 + 1},
        {"brightness": 255.5},
        {"contrast": math.inf},
        {"split": "both"},
        {"is_confirmed": 1},
        {"more": 1},
        {"id": None},
    ],
    ids=str,
)
def test_a_damaged_image_record_is_reported(
    workspace: Workspace, dataset: ImageDataset, change: dict[str, object]
) -> None:
    path = dataset.folder / "dataset.json"
    facts = json.loads(path.read_bytes())
    facts["images"][0] |= change
    path.write_text(json.dumps(facts))
    with pytest.raises(WorkspaceError, match="is damaged: its content is not valid"):
        ImageDataset.load(workspace, dataset.id)


@pytest.mark.parametrize("name", ["name", "class_names", "images", "left_out"])
def test_a_file_that_lacks_a_fact_is_reported(workspace: Workspace, dataset: ImageDataset, name: str) -> None:
    path = dataset.folder / "dataset.json"
    facts = json.loads(path.read_bytes())
    del facts[name]
    path.write_text(json.dumps(facts))
    with pytest.raises(WorkspaceError, match="is damaged"):
        ImageDataset.load(workspace, dataset.id)


def test_a_half_written_file_is_reported(workspace: Workspace, dataset: ImageDataset) -> None:
    path = dataset.folder / "dataset.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        WorkspaceError, match=r"^dataset\.json of .* is damaged: it is not valid JSON from character"
    ):
        ImageDataset.load(workspace, dataset.id)


class TestEdits:
    def test_a_label_is_changed(self, dataset: ImageDataset) -> None:
        ids = [image.id for image in dataset.images[:3]]
        changed = dataset.relabelled(ids, "cat")
        assert changed.counts() == {"cat": 8, "fox": 7}
        assert [image.class_name for image in changed.images[:4]] == ["cat", "cat", "cat", "fox"]

    def test_several_labels_are_one_change(self, dataset: ImageDataset) -> None:
        fox, cat = dataset.images[0], dataset.images[-1]
        changed = dataset.relabelled_each({fox.id: "cat", cat.id: "fox"})
        assert (changed.images[0].class_name, changed.images[-1].class_name) == ("cat", "fox")
        assert len(changed.edits) == 1
        assert changed.undone() == dataset

    def test_a_label_is_of_the_very_same_name_only(self, dataset: ImageDataset) -> None:
        last = [dataset.images[-1].id]
        assert dataset.relabelled(last, " cat ").class_names == ("cat", "fox")
        assert dataset.relabelled(last, "Cat").class_names == ("Cat", "cat", "fox")

    def test_a_label_is_never_cut(self, dataset: ImageDataset) -> None:
        first = [dataset.images[0].id]
        assert "x" * 255 in dataset.relabelled(first, "x" * 255).class_names
        with pytest.raises(InvalidConfigError, match="at most 255 letters"):
            dataset.relabelled(first, "x" * 256)

    def test_a_label_may_be_new(self, dataset: ImageDataset) -> None:
        ids = [image.id for image in dataset.images[:2]]
        changed = dataset.relabelled(ids, "wolf")
        assert changed.counts() == {"cat": 5, "fox": 8, "wolf": 2}
        assert changed.counts("validation")["wolf"] == 1

    @pytest.mark.parametrize("name", ["", "  ", "\u200b"])
    def test_a_label_needs_a_name(self, dataset: ImageDataset, name: str) -> None:
        with pytest.raises(InvalidConfigError, match="The class needs a name"):
            dataset.relabelled([dataset.images[0].id], name)

    def test_images_are_left_out_and_come_back(self, dataset: ImageDataset) -> None:
        image = dataset.images[4]
        without = dataset.without([image.id])
        assert image not in without.images
        assert without.excluded == (image,)
        assert without.restored([image.id]).images == dataset.images

    def test_their_files_are_kept(self, dataset: ImageDataset) -> None:
        image = dataset.images[0]
        dataset.image_path(image).parent.mkdir()
        dataset.image_path(image).write_bytes(b"pixels")
        assert dataset.without([image.id]).save().image_path(image).is_file()

    def test_a_class_is_renamed(self, dataset: ImageDataset) -> None:
        changed = dataset.without([dataset.images[0].id]).renamed_class("fox", "Fox")
        assert changed.class_names == ("Fox", "cat")
        assert changed.excluded[0].class_name == "Fox"

    def test_two_classes_are_merged(self, dataset: ImageDataset) -> None:
        assert dataset.renamed_class("fox", "cat").counts() == {"cat": 15}
        assert dataset.renamed_class("fox", "Cat").counts() == {"Cat": 10, "cat": 5}

    def test_several_classes_are_merged_in_one_change(self, dataset: ImageDataset) -> None:
        ids = [image.id for image in dataset.images if image.class_name == "fox"]
        three = dataset.relabelled(ids[:2], "Fox").without(ids[:1])
        merged = three.merged_classes({"fox": "cat", "Fox": "cat"})
        assert merged.counts() == {"cat": 14}
        assert merged.restored(ids[:1]).counts() == {"cat": 15}
        assert merged.undone().counts() == three.counts()

    def test_a_class_is_deleted(self, dataset: ImageDataset) -> None:
        changed = dataset.without_class("cat")
        assert (changed.class_names, len(changed.excluded)) == (("fox",), 5)

    def test_each_change_can_be_undone(self, dataset: ImageDataset) -> None:
        ids = [image.id for image in dataset.images[2:9:3]]
        changed = (
            dataset.relabelled(ids, "cat").without(ids).renamed_class("cat", "lynx").without_class("fox")
        )
        assert [edit.kind for edit in changed.edits] == ["relabel", "exclude", "rename_class", "delete_class"]
        for _change in range(4):
            changed = changed.undone()
        assert changed == dataset

    def test_nothing_to_undo(self, dataset: ImageDataset) -> None:
        assert dataset.undone() == dataset

    def test_a_change_that_changes_nothing_is_none(self, dataset: ImageDataset) -> None:
        assert dataset.relabelled([dataset.images[0].id], "fox") == dataset
        assert dataset.without(["unknown"]) == dataset

    def test_changes_are_part_of_the_file_and_make_a_version(
        self, workspace: Workspace, dataset: ImageDataset
    ) -> None:
        saved = dataset.without([dataset.images[0].id]).save()
        loaded = ImageDataset.load(workspace, dataset.id)
        assert loaded == saved
        assert [edit.version for edit in loaded.edits] == [loaded.version]
        assert loaded.undone().images == dataset.images

    def test_the_other_images_keep_their_side(self, dataset: ImageDataset) -> None:
        sides = {image.id: image.split for image in dataset.images}
        changed = dataset.without([image.id for image in dataset.images[:5]])
        assert all(image.split == sides[image.id] for image in changed.images)

    def test_a_class_that_would_lack_a_side_is_drawn_again(self, dataset: ImageDataset) -> None:
        checked_with = [image.id for image in dataset.images_in("validation") if image.class_name == "fox"]
        assert dataset.without(checked_with).counts("validation")["fox"] > 0

    def test_two_windows_do_not_overwrite_each_other(self, dataset: ImageDataset) -> None:
        dataset.without([dataset.images[0].id]).save()
        with pytest.raises(WorkspaceError, match="changed in another window"):
            dataset.relabelled([dataset.images[1].id], "cat").save()


class TestWaysToSplit:
    def test_own_folders(self, workspace: Workspace) -> None:
        images = [
            structs.replace(image, given_split=split)
            for image, split in zip(
                records(cat=6), ["train", "train", "train", "validation", "validation", "test"], strict=True
            )
        ]
        dataset = empty_dataset(workspace).with_images(images, ()).with_split(0.5, 1, split_by="folders")
        assert [image.split for image in dataset.images] == [image.given_split for image in images]
        assert len(dataset.images_in("test")) == 1

    def test_own_folders_without_any(self, dataset: ImageDataset) -> None:
        with pytest.raises(InvalidConfigError, match="Your folders give no split to keep"):
            dataset.with_split(0.2, 1, split_by="folders")

    def test_folds_take_turns(self, dataset: ImageDataset) -> None:
        folded = dataset.with_split(0.2, 1, split_by="folds", num_folds=5)
        folds = folded.folds()
        assert folds[0] == folded
        checked_with = [image.id for fold in folds for image in fold.images_in("validation")]
        assert sorted(checked_with) == sorted(image.id for image in dataset.images)
        assert all(fold.counts("validation") == {"cat": 1, "fox": 2} for fold in folds)

    def test_a_share_is_one_fold(self, dataset: ImageDataset) -> None:
        assert dataset.folds() == [dataset]

    def test_the_end_of_the_only_recording_of_a_class_is_kept_for_validation(
        self, workspace: Workspace
    ) -> None:
        images = [*records(cat=4), *(structs.replace(image, burst="b1") for image in records(dog=8))]
        dataset = empty_dataset(workspace).with_images(images, ())
        dataset.check_trainable()
        assert dataset.classes_of_one_recording == ["dog"]
        kept = [image for image in dataset.images_in("validation") if image.class_name == "dog"]
        assert [image.number for image in kept] == [image.number for image in dataset.images[-2:]]
        # Neither its beginning nor its end counts as many photos in an interval.
        assert len({image.group for image in dataset.images if image.class_name == "dog"}) == 2
        assert dataset.with_series(dict.fromkeys(dataset.by_id, "all")).counts("validation")["dog"] == 2

    @pytest.mark.parametrize("least", range(8))
    def test_any_frame_may_name_the_group_of_the_recording(self, workspace: Workspace, least: int) -> None:
        frames = [
            structs.replace(image, burst="b1", id=f"{place != least:d}{image.id[1:]}")
            for place, image in enumerate(records(dog=8))
        ]
        dataset = empty_dataset(workspace).with_images([*records(cat=4), *frames], ())
        assert dataset.counts("validation")["dog"] == 2
        assert len({image.group for image in dataset.images if image.class_name == "dog"}) == 2

    def test_a_second_recording_is_never_cut(self, workspace: Workspace) -> None:
        first = [structs.replace(image, burst="b1") for image in records(dog=8)]
        second = [structs.replace(image, burst="b2", number=9 + image.number) for image in records(fox=8)]
        second = [structs.replace(image, class_name="dog") for image in second]
        dataset = empty_dataset(workspace).with_images([*first, *second], ())
        sides = {(image.burst, image.split) for image in dataset.images}
        assert len(sides) == 2
        assert dataset.classes_of_one_recording == []

    def test_of_recordings_of_one_scene_the_shortest_is_kept_whole(self, workspace: Workspace) -> None:
        frames = [structs.replace(one, burst="b1" if one.number < 10 else "b2") for one in records(dog=14)]
        # One frame of each looks the same, which makes one group of both.
        scene = fingerprint(Image.radial_gradient("L"))
        frames[3], frames[12] = (structs.replace(frames[place], fingerprint=scene) for place in (3, 12))
        dataset = empty_dataset(workspace).with_images(frames, ())
        assert {image.burst for image in dataset.images_in("validation")} == {"b2"}
        assert {image.burst for image in dataset.images_in("train")} == {"b1"}

    def test_too_short_a_recording_cannot_be_split(self, workspace: Workspace) -> None:
        images = [*records(cat=4), *(structs.replace(image, burst="b1") for image in records(dog=3))]
        dataset = empty_dataset(workspace).with_images(images, ())
        with pytest.raises(
            IngestError, match=r"too few different photos to keep some for validation: dog\. Add photos"
        ):
            dataset.check_trainable()

    def test_more_folds_than_groups_cannot_be_split(self, workspace: Workspace) -> None:
        images = [structs.replace(image, burst=image.class_name) for image in records(cat=8, dog=8)]
        dataset = empty_dataset(workspace).with_images(images, ())
        folded = dataset.with_split(0.2, 1, split_by="folds", num_folds=5)
        assert {image.split for image in folded.images} == {"train"}

    def test_folders_without_a_class_are_reported(self, workspace: Workspace) -> None:
        images = [
            structs.replace(image, given_split="validation" if image.class_name == "cat" else "train")
            for image in records(cat=4, dog=4)
        ]
        dataset = empty_dataset(workspace).with_images(images, ()).with_split(0.2, 1, split_by="folders")
        with pytest.raises(IngestError, match=r"Your folders hold no training photos.*: cat, dog\."):
            dataset.check_trainable()


class TestSeries:
    """Series are kept on one side wherever the classes can still be split."""

    def in_series(self, dataset: ImageDataset, sizes: dict[str, list[int]]) -> ImageDataset:
        """The first photos of each class in series of these sizes, the others alone."""
        series: dict[str, str] = {}
        for class_name, numbers in sizes.items():
            ids = [image.id for image in dataset.images if image.class_name == class_name]
            for size in numbers:
                of_series, ids = ids[:size], ids[size:]
                series |= dict.fromkeys(of_series, of_series[0])
        return dataset.with_series(series)

    def sides(self, dataset: ImageDataset) -> dict[str, set[str]]:
        sides: dict[str, set[str]] = {}
        for image in dataset.images:
            sides.setdefault(image.series, set()).add(image.split)
        return sides

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("split_by", ["share", "folds"])
    def test_each_series_is_on_one_side(self, workspace: Workspace, split_by: SplitBy, seed: int) -> None:
        dataset = empty_dataset(workspace).with_images(records(cat=40, dog=40), ())
        dataset = dataset.with_split(0.2, seed, split_by=split_by)
        examined = self.in_series(dataset, {"cat": [5] * 8, "dog": [7, 3, 2, 2]})
        assert any(len(sides) > 1 for sides in self.sides(replaced_splits(examined, dataset)).values())
        for fold in examined.folds():
            assert all(len(sides) == 1 for sides in self.sides(fold).values())
            fold.check_trainable()

    def test_a_split_that_tears_no_series_is_not_drawn_again(self, workspace: Workspace) -> None:
        dataset = empty_dataset(workspace).with_images(records(cat=20, dog=20), ())
        alike = [image.id for image in dataset.images_in("train") if image.class_name == "cat"][:3]
        examined = dataset.with_series(dict.fromkeys(alike, alike[0]))
        assert [image.split for image in examined.images] == [image.split for image in dataset.images]
        assert {image.group for image in examined.images if image.id in alike} == {min(alike)}
        assert examined.is_examined and not dataset.is_examined

    @pytest.mark.parametrize("split_by", ["share", "folds"])
    @pytest.mark.parametrize("sizes", [[10], [9, 1], [5, 5], [8, 2], [4, 3, 3], [8, 1, 1], [2, 2, 2, 2, 2]])
    def test_no_class_is_blocked_or_starved(
        self, workspace: Workspace, sizes: list[int], split_by: SplitBy
    ) -> None:
        dataset = empty_dataset(workspace).with_images(records(cat=10, dog=10, fox=2), ())
        dataset = dataset.with_split(0.2, 1, split_by=split_by)
        trainable = [self.is_trainable(fold) for fold in dataset.folds()]
        examined = self.in_series(dataset, {"cat": sizes, "dog": [2] * 5, "fox": [2]})
        # Two foxes can be on both sides in two folds only, whichever these are.
        found = [self.is_trainable(fold) for fold in examined.folds()]
        assert (found[0], sum(found)) == (trainable[0], sum(trainable))
        assert all(fold.counts("train")["cat"] >= 6 for fold in examined.folds())

    def is_trainable(self, dataset: ImageDataset) -> bool:
        try:
            dataset.check_trainable()
        except IngestError:
            return False
        return True

    def test_own_folders_are_not_moved(self, workspace: Workspace) -> None:
        images = [
            structs.replace(image, given_split="validation" if image.number % 4 == 0 else "train")
            for image in records(cat=12, dog=12)
        ]
        dataset = empty_dataset(workspace).with_images(images, ()).with_split(0.2, 1, split_by="folders")
        examined = self.in_series(dataset, {"cat": [4, 4, 4]})
        assert [image.split for image in examined.images] == [image.given_split for image in images]

    def test_new_photos_are_examined_again_and_leave_series_whole(self, workspace: Workspace) -> None:
        dataset = empty_dataset(workspace).with_images(records(cat=20, dog=20), ())
        examined = self.in_series(dataset, {"cat": [4] * 5}).save()
        assert ImageDataset.load(workspace, examined.id) == examined
        more = examined.with_images([*examined.images, *records(cat=24)[20:]], ())
        assert not more.is_examined
        old = structs.replace(more, images=tuple(image for image in more.images if image.series))
        assert all(len(sides) == 1 for sides in self.sides(old).values())

    def test_only_series_were_added_since_the_version_before(self, workspace: Workspace) -> None:
        dataset = empty_dataset(workspace).with_images(records(cat=20, dog=20), ()).save()
        examined = self.in_series(dataset, {"cat": [4] * 5}).save()
        assert examined.has_photos_of(1) and examined.has_photos_of(2)
        changed = examined.without([examined.images[0].id]).save()
        assert not changed.has_photos_of(1) and not changed.has_photos_of(2)


def replaced_splits(dataset: ImageDataset, split: ImageDataset) -> ImageDataset:
    """The dataset with the sides of another."""
    images = (structs.replace(image, split=split.by_id[image.id].split) for image in dataset.images)
    return structs.replace(dataset, images=tuple(images))


def test_a_file_of_version_0_1_is_read(workspace: Workspace, dataset: ImageDataset) -> None:
    path = dataset.folder / "dataset.json"
    facts = json.loads(path.read_bytes())
    new = ("excluded", "edits", "split_by", "num_folds")
    old = {name: value for name, value in facts.items() if name not in new}
    known = ("id", "class_name", "name", "split")
    old["images"] = [{name: image[name] for name in known} for image in facts["images"]]
    old["left_out"] = [{"name": ".DS_Store", "reason": "system", "is_system_file": True}]
    path.write_text(json.dumps(old))
    loaded = ImageDataset.load(workspace, dataset.id)
    assert loaded.left_out == (LeftOut(".DS_Store", "system", "system"),)
    assert [(image.id, image.split) for image in loaded.images] == [
        (image.id, image.split) for image in dataset.images
    ]
