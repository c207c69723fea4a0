"""The split is the same on every machine, fair to each class, and steady when images are added."""

from collections import Counter
from hashlib import sha256

import pytest

from transfer_core.data.dataset import ImageRecord
from transfer_core.data.split import assign_splits
from transfer_core.errors import InvalidConfigError


def records(class_name: str, count: int, first: int = 0) -> tuple[ImageRecord, ...]:
    ids = [
        sha256(f"{class_name}{number}".encode()).hexdigest()[:32] for number in range(first, first + count)
    ]
    return tuple(ImageRecord(identifier, class_name, f"{identifier[:6]}.jpg") for identifier in ids)


def validation_ids(images: tuple[ImageRecord, ...], share: float = 0.2, seed: int = 1) -> set[str]:
    return {image.id for image in assign_splits(images, share, seed) if image.split == "validation"}


def test_each_class_gives_the_same_share() -> None:
    images = records("cat", 50) + records("dog", 10) + records("fox", 200)
    split = assign_splits(images, 0.2, seed=1)
    counts = Counter((image.class_name, image.split) for image in split)
    assert [counts[name, "validation"] for name in ("cat", "dog", "fox")] == [10, 2, 40]


@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.999])
@pytest.mark.parametrize("count", [2, 3, 7, 40])
def test_each_side_has_at_least_one_of_each_class(count: int, share: float) -> None:
    num_validation = len(validation_ids(records("cat", count), share))
    assert 1 <= num_validation <= count - 1
    assert num_validation == min(max(round(count * share), 1), count - 1)


def test_a_single_image_is_learned_from() -> None:
    assert [image.split for image in assign_splits(records("cat", 1), 0.5, seed=1)] == ["train"]


def test_no_images_are_no_problem() -> None:
    assert assign_splits((), 0.2, seed=1) == ()


def test_order_names_and_classes_stay() -> None:
    images = records("dog", 5) + records("cat", 5)
    split = assign_splits(images, 0.4, seed=1)
    assert [(image.id, image.class_name, image.name) for image in split] == [
        (image.id, image.class_name, image.name) for image in images
    ]


def test_the_draw_does_not_depend_on_order_or_on_the_split_before() -> None:
    images = records("cat", 40)
    again = assign_splits(images, 0.5, seed=9)
    assert validation_ids(images) == validation_ids(tuple(reversed(images))) == validation_ids(again)


def test_the_draw_is_the_same_on_every_machine() -> None:
    split = assign_splits(records("cat", 10), 0.3, seed=1)
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
        assign_splits(records("cat", 4), share, seed=1)
    assert str(caught.value) == (
        f"The validation share is {share}. Expected was a number between 0 and 1, such as 0.2."
    )
