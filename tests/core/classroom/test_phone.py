"""Photos from a phone: what its code allows, and that each photo counts once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import MakeImage
from transfer_core.classroom import phone
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.people import join, remove_person
from transfer_core.classroom.phone import add_phone_photo, phone_link, phone_token, photos_of_phone
from transfer_core.classroom.visitor import sign
from transfer_core.data import ingest
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.errors import InvalidConfigError, NotFoundError, WorkspaceError
from transfer_core.files import remove
from transfer_core.runs.deletion import delete_dataset
from transfer_core.runs.trash import take_from_trash
from transfer_core.workspace import Workspace, new_id

PHOTO_ID = "1764370000000-abc"


@pytest.fixture
def color_photo(make_image: MakeImage) -> bytes:
    return make_image(color=(200, 30, 30))


def test_the_first_photo_creates_the_dataset_of_the_code(workspace: Workspace, color_photo: bytes) -> None:
    dataset_id = new_id()
    link = phone_link(workspace, phone_token(workspace, dataset_id))
    assert photos_of_phone(workspace, link) is None
    arrival = add_phone_photo(workspace, link, PHOTO_ID, " Cat\n", color_photo)
    assert not arrival.problem
    stored = ImageDataset.load(workspace, dataset_id)
    assert stored.counts() == {"Cat": 1}


def test_a_phone_leaves_the_place_of_deleted_photos_free_for_undo(
    workspace: Workspace, color_photo: bytes
) -> None:
    token = phone_token(workspace, new_id())
    link = phone_link(workspace, token)
    stored = add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo).dataset
    delete_dataset(workspace, stored.id)
    with pytest.raises(NotFoundError, match="These photos were deleted"):
        add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo)
    take_from_trash(workspace, "dataset", stored.id)
    assert ImageDataset.load(workspace, stored.id) == stored


def test_a_photo_that_is_sent_again_counts_once(workspace: Workspace, color_photo: bytes) -> None:
    link = phone_link(workspace, phone_token(workspace, new_id()))
    first = add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo)
    again = add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo)
    assert (again.problem, again.dataset) == ("", first.dataset)
    other = add_phone_photo(workspace, link, "1764370000001-abc", "cat", color_photo)
    assert other.problem == "The same photo is there already."
    assert other.dataset == first.dataset


def test_an_excluded_photo_that_is_sent_again_remains_excluded(
    workspace: Workspace, color_photo: bytes
) -> None:
    link = phone_link(workspace, phone_token(workspace, new_id()))
    stored = add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo).dataset
    stored.without([stored.images[0].id]).save()
    arrival = add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo)
    assert not arrival.problem and not arrival.dataset.images


def test_what_is_no_photo_is_left_out_with_the_reason(workspace: Workspace) -> None:
    link = phone_link(workspace, phone_token(workspace, new_id()))
    arrival = add_phone_photo(workspace, link, PHOTO_ID, "cat", b"not a photo")
    assert arrival.problem.startswith("A photo was left out: ")
    assert not arrival.dataset.images and workspace.dataset_ids() == []


@pytest.mark.parametrize("name", ["", " \n", "x" * 256])
def test_a_class_needs_a_valid_name(workspace: Workspace, color_photo: bytes, name: str) -> None:
    link = phone_link(workspace, phone_token(workspace, new_id()))
    with pytest.raises(InvalidConfigError):
        add_phone_photo(workspace, link, PHOTO_ID, name, color_photo)


def test_a_change_in_another_window_is_kept(
    workspace: Workspace, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = phone_link(workspace, phone_token(workspace, new_id()))
    before = add_phone_photo(workspace, link, PHOTO_ID, "cat", make_image(color=(200, 30, 30))).dataset
    collect = ingest.collect_files
    changes = [lambda: before.renamed_class("cat", "dog").save()]

    def collect_beside_a_change(*args, **kwargs):
        collected = collect(*args, **kwargs)
        if changes:
            changes.pop()()
        return collected

    monkeypatch.setattr(ingest, "collect_files", collect_beside_a_change)
    add_phone_photo(workspace, link, "1764370000001-abc", "cat", make_image(color=(30, 200, 30)))
    assert ImageDataset.load(workspace, link.dataset_id).counts() == {"cat": 1, "dog": 1}


def test_a_disk_that_refuses_is_reported(
    workspace: Workspace, color_photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = phone_link(workspace, phone_token(workspace, new_id()))

    def fail(dataset: ImageDataset) -> None:
        raise WorkspaceError("The disk is full.")

    monkeypatch.setattr(ImageDataset, "save", fail)
    with pytest.raises(WorkspaceError, match="full"):
        add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo)


def test_only_a_code_of_this_server_for_this_purpose_is_valid(workspace: Workspace, tmp_path: Path) -> None:
    value = f"/{new_id()}/new"
    facts = Classroom(workspace).facts()
    foreign = Classroom(Workspace(tmp_path / "other")).facts()
    for token in (sign(foreign, "phone", value), sign(facts, "try", value), sign(facts, "cookie", value)):
        with pytest.raises(NotFoundError, match="not valid"):
            phone_link(workspace, token)
    token = phone_token(workspace, new_id())
    for forged in ("", "x", token[:-1], token[::-1]):
        with pytest.raises(NotFoundError, match="not valid"):
            phone_link(workspace, forged)


def test_a_code_expires(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    token = phone_token(workspace, new_id())
    monkeypatch.setattr(phone, "PHONE_LINK_SECONDS", -1)
    with pytest.raises(NotFoundError, match="expired"):
        phone_link(workspace, token)


def test_a_code_ends_with_its_photos(workspace: Workspace, color_photo: bytes) -> None:
    link = phone_link(workspace, phone_token(workspace, new_id()))
    add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo)
    token = phone_token(workspace, link.dataset_id)
    remove(workspace.dataset_dir(link.dataset_id))
    with pytest.raises(NotFoundError, match="deleted"):
        phone_link(workspace, token)


def test_photos_of_a_pupil_go_to_the_pupil(
    workspace: Workspace, color_photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CLASS_VARIABLE, "1")
    ada, ben = join(workspace, "Ada"), join(workspace, "Ben")
    place = workspace.person(ada.id)
    token = phone_token(place, create_dataset(place, "Ada's").id)
    link = phone_link(workspace, token)
    add_phone_photo(workspace, link, PHOTO_ID, "cat", color_photo)
    assert place.dataset_ids() == [link.dataset_id]
    assert workspace.dataset_ids() == workspace.person(ben.id).dataset_ids() == []
    Classroom(workspace).change(is_open=False)
    with pytest.raises(NotFoundError, match="closed"):
        phone_link(workspace, token)
    Classroom(workspace).change(is_open=True)
    remove_person(workspace, ada.id)
    with pytest.raises(NotFoundError, match="not in the class"):
        phone_link(workspace, token)
