"""A folder of class folders: everything good is scored, everything else is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from transfer_core.data.records import LeftOut
from transfer_core.errors import IngestError
from transfer_core.evaluation.labelled_folder import labelled_folder

CLASS_NAMES = ("blue", "green", "red")


def test_every_image_with_its_class_in_order(image_folder: Path) -> None:
    images, left_out = labelled_folder(image_folder, CLASS_NAMES)
    assert left_out == []
    assert [image.name for image in images[:2]] == ["blue/blue-0.jpg", "blue/blue-1.jpg"]
    assert [image.class_name for image in images] == ["blue"] * 8 + ["green"] * 8 + ["red"] * 8
    assert all(image.path.is_file() for image in images)


def test_one_more_folder_around_the_classes(image_folder: Path) -> None:
    (image_folder.parent / "outer").mkdir()
    image_folder.rename(image_folder.parent / "outer" / "colors")
    images, left_out = labelled_folder(image_folder.parent / "outer", CLASS_NAMES)
    assert left_out == []
    assert [image.class_name for image in images] == ["blue"] * 8 + ["green"] * 8 + ["red"] * 8
    assert all(image.path.is_file() for image in images)


def test_unreadable_files_are_left_out_with_their_reason(image_folder: Path) -> None:
    (image_folder / "blue" / "notes.txt").write_text("not a picture")
    (image_folder / "red" / "empty.jpg").touch()
    (image_folder / "outside.jpg").write_bytes((image_folder / "red" / "red-0.jpg").read_bytes())
    (image_folder / "red" / ".DS_Store").write_text("nobody misses it")
    images, left_out = labelled_folder(image_folder, CLASS_NAMES)
    assert len(images) == 24
    assert set(left_out) == {
        LeftOut("blue/notes.txt", "it is not a photo, whatever its name says", "not_an_image"),
        LeftOut("red/empty.jpg", "the file is empty (0 bytes)", "damaged"),
        LeftOut("outside.jpg", "it is not in a class folder", "no_class"),
    }


def test_class_folders_are_matched_whatever_their_case(image_folder: Path) -> None:
    (image_folder / "blue").rename(image_folder / "BLUE")
    images, _left_out = labelled_folder(image_folder, ("Blue", "green", "RED"))
    assert {image.class_name for image in images} == {"Blue", "green", "RED"}


@pytest.mark.parametrize(
    ("folder", "class_names", "expected"),
    [
        ("cat", ("Cat", "cat"), "cat"),
        ("Cat", ("Cat", "cat"), "Cat"),
        ("CAT", ("Cat", "cat"), "CAT"),
        ("CAT", ("Cat", "dog"), "Cat"),
    ],
)
def test_case_counts_where_two_classes_differ_in_it(
    image_folder: Path, folder: str, class_names: tuple[str, ...], expected: str
) -> None:
    (image_folder / "blue").rename(image_folder / folder)
    images, _left_out = labelled_folder(image_folder, class_names)
    assert {image.class_name for image in images} == {expected, "green", "red"}


def test_class_that_the_model_lacks_keeps_its_name(image_folder: Path) -> None:
    images, _left_out = labelled_folder(image_folder, ("blue", "green"))
    assert images[-1].class_name == "red"


def test_folder_without_class_folders(image_folder: Path) -> None:
    with pytest.raises(IngestError, match="no photos in subfolders"):
        labelled_folder(image_folder / "red", CLASS_NAMES)


def test_folder_of_nothing_but_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "notes.txt").write_text("not a picture")
    with pytest.raises(IngestError, match=r"The only file, red/notes\.txt, cannot be used: it is not"):
        labelled_folder(tmp_path, CLASS_NAMES)
