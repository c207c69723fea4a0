"""The split is the same on every machine, fair to each class, and steady when images are added."""

from collections import Counter
from hashlib import sha256

import pytest
from msgspec.structs import replace

from transfer_core.data.records import ImageRecord
from transfer_core.data.split import split_by_fold, split_by_folders, split_by_share
from transfer_core.errors import InvalidConfigError


def records(class_name: str, count: int, first: int = 0) -> tuple[ImageRecord, ...]:
    ids = [
        sha256(f"{class_name}{number}".encode()).hexdigest()[:32] for number in range(first, first + count)
    ]
    return tuple(ImageRecord(identifier, class_name, f"{identifier[:6]}.jpg") for identifier in ids)


def validation_ids(images: tuple[ImageRecord, ...], share: float = 0.2, seed: int = 1) -> set[str]:
    return {image.id for image in split_by_share(images, share, seed) if image.split == "validation"}


def test_each_class_gives_the_same_share() -> None:
    images = records("cat", 50) + records("dog", 10) + records("fox", 200)
    split = split_by_share(images, 0.2, seed=1)
    counts = Counter((image.class_name, image.split) for image in split)
    assert [counts[name, "validation"] for name in ("cat", "dog", "fox")] == [10, 2, 40]


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("count", [2, 3, 7, 40])
def test_each_side_has_at_least_one_of_each_class(count: int, share: float) -> None:
    num_validation = len(validation_ids(records("cat", count), share))
    assert 1 <= num_validation <= count - 1
    assert num_validation == min(max(round(count * share), 1), count - 1)


def test_a_single_image_is_learned_from() -> None:
    assert [image.split for image in split_by_share(records("cat", 1), 0.5, seed=1)] == ["train"]


def test_no_images_are_no_problem() -> None:
    assert split_by_share((), 0.2, seed=1) == ()


def test_order_names_and_classes_stay() -> None:
    images = records("dog", 5) + records("cat", 5)
    split = split_by_share(images, 0.4, seed=1)
    assert [(image.id, image.class_name, image.name) for image in split] == [
        (image.id, image.class_name, image.name) for image in images
    ]


def test_the_draw_does_not_depend_on_order_or_on_the_split_before() -> None:
    images = records("cat", 40)
    again = split_by_share(images, 0.5, seed=9)
    assert validation_ids(images) == validation_ids(tuple(reversed(images))) == validation_ids(again)


def test_the_draw_is_the_same_on_every_machine() -> None:
    split = split_by_share(records("cat", 10), 0.3, seed=1)
    assert [number for number, image in enumerate(split) if image.split == "validation"] == [2, 5, 7]


def test_another_seed_draws_others() -> None:
    draws = {frozenset(validation_ids(records("cat", 60), seed=seed)) for seed in range(8)}
    assert len(draws) == 8


def test_a_larger_share_keeps_those_already_drawn() -> None:
    images = records("cat", 60)
    assert validation_ids(images, 0.1) < validation_ids(images, 0.2) < validation_ids(images, 0.5)


def test_adding_images_moves_few_of_the_others() -> None:
    before = records("cat", 100)
    known = {image.id for image in before}
    drawn_before = validation_ids(before)
    drawn_after = validation_ids(before + records("cat", 10, first=100)) & known
    assert len(drawn_before ^ drawn_after) <= 5


def test_adding_another_class_moves_nobody() -> None:
    images = records("cat", 30)
    assert validation_ids(images) == {
        identifier
        for identifier in validation_ids(images + records("dog", 30))
        if identifier in {image.id for image in images}
    }


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        split_by_share(records("cat", 4), share, seed=1)
    assert str(caught.value) == (
        f"The validation share is {share}. Expected was a number between 0 and 1, such as 0.2."
    )


def grouped(images: tuple[ImageRecord, ...], size: int) -> tuple[ImageRecord, ...]:
    """The same images in groups of `size` that follow each other."""
    return tuple(replace(image, group=images[row - row % size].id) for row, image in enumerate(images))


def sides_by_group(images: tuple[ImageRecord, ...]) -> dict[str, set[str]]:
    return {
        group: {image.split for image in images if image.group == group}
        for group in {image.group for image in images}
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [2, 3, 7, 20])
def test_groups_stay_whole(size: int, seed: int) -> None:
    images = grouped(records("cat", 60), size)
    split = split_by_share(images, 0.2, seed)
    assert all(len(sides) == 1 for sides in sides_by_group(split).values())
    assert 0 < sum(image.split == "validation" for image in split) <= 20


def test_images_that_join_a_group_leave_all_groups_on_their_side() -> None:
    numbered = tuple(replace(image, number=row + 1) for row, image in enumerate(records("cat", 100)))
    images = grouped(numbered, 2)
    # Their ids are less than all others, so they give the groups their names.
    joined = tuple(
        replace(image, id=f"{row:032}", number=100 + row, group=f"{row:032}")
        for row, image in enumerate(images[:20:2], 1)
    )
    names = {image.group: new.group for image, new in zip(images[:20:2], joined, strict=True)}
    renamed = tuple(replace(image, group=names.get(image.group, image.group)) for image in images)
    before = validation_ids(images)
    after = validation_ids(renamed + joined)
    assert len((before ^ after) & {image.id for image in images}) <= 4


def test_a_group_of_two_classes_stays_whole() -> None:
    pair = "a" * 32
    images = tuple(
        replace(image, group=pair) if row % 10 == 0 else image
        for row, image in enumerate(records("cat", 10) + records("dog", 10))
    )
    split = split_by_share(images, 0.3, seed=1)
    assert len({image.split for image in split if image.group == pair}) == 1


def test_a_class_of_one_group_is_learned_from() -> None:
    images = grouped(records("cat", 6), 6)
    assert {image.split for image in split_by_share(images, 0.5, seed=1)} == {"train"}


def test_groups_stay_whole_in_folds() -> None:
    images = grouped(records("cat", 30) + records("dog", 30), 3)
    checked_with: list[str] = []
    for fold in range(5):
        split = split_by_fold(images, 5, seed=1, fold=fold)
        assert all(len(sides) == 1 for sides in sides_by_group(split).values())
        checked_with += [image.id for image in split if image.split == "validation"]
    assert sorted(checked_with) == sorted(image.id for image in images)


def test_too_few_images_for_the_folds_are_all_learned_from() -> None:
    assert {image.split for image in split_by_fold(records("cat", 3), 5, seed=1)} == {"train"}


@pytest.mark.parametrize("num_folds", [1, 11])
def test_a_number_of_folds_out_of_range_is_refused(num_folds: int) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        split_by_fold(records("cat", 30), num_folds, seed=1)
    assert str(caught.value) == (
        f"The number of parts is {num_folds}. Expected was a whole number from 2 to 10."
    )


def test_folders_without_validation_get_a_share_of_the_training_images() -> None:
    images = tuple(
        replace(image, given_split="test" if row < 5 else "train")
        for row, image in enumerate(records("cat", 25))
    )
    counts = Counter(image.split for image in split_by_folders(images, 0.25, seed=1))
    assert counts == {"test": 5, "train": 15, "validation": 5}
