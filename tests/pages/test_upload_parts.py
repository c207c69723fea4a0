"""Files of an upload, put together from what a browser sends."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from pages.ui.app.arrivals import Upload
from pages.ui.app.session import Session
from pages.ui.app.upload_parts import expect_files, take_part, without_known
from tests.conftest import MakeImage
from transfer_core.data.checks.notices import read_as_sentence
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import collect_files, create_dataset
from transfer_core.data.records import ReadAs
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.workspace import Workspace


@pytest.fixture
def upload(page_workspace: Workspace) -> Upload:
    dataset = create_dataset(page_workspace, "colors")
    return Upload("1", dataset, dataset)


def part(path: str, content: bytes, offset: int = 0, *, is_end: bool = True) -> dict[str, Any]:
    return {"path": path, "content": base64.b64encode(content).decode(), "offset": offset, "is_end": is_end}


def test_nested_folders_get_their_classes_from_the_whole_list(upload: Upload) -> None:
    paths = ["holiday/photos/cat/1.jpg", "holiday/photos/dog/2.jpg"]
    assert expect_files(Session(), upload, {"paths": paths, "tables": []}) == []
    assert [file.class_name for path in paths if (file := take_part(upload, part(path, b"x")))] == [
        "cat",
        "dog",
    ]


def test_what_a_table_does_not_name_is_settled_before_it_comes(upload: Upload) -> None:
    table = part("mixed/labels.csv", b"1.jpg,cat\n3.jpg,dog\n")
    settled = expect_files(Session(), upload, {"paths": ["mixed/1.jpg", "mixed/2.jpg"], "tables": [table]})
    first = take_part(upload, part("mixed/1.jpg", b"first"))
    assert first and (first.class_name, first.read()) == ("cat", b"first")
    assert take_part(upload, part("mixed/2.jpg", b"second")) is None
    reasons = {}
    for file in settled:
        with pytest.raises(UnreadableImageError) as caught:
            file.read()
        reasons[file.path] = str(caught.value)
    assert reasons == {
        "2.jpg": "labels.csv does not name it",
        "3.jpg": "labels.csv names it, but it is not there",
    }


def test_a_file_in_parts_is_whole_at_its_end(upload: Upload) -> None:
    path = "colors/red/large.bmp"
    expect_files(Session(), upload, {"paths": [path], "tables": []})
    assert take_part(upload, part(path, b"one ", is_end=False)) is None
    assert take_part(upload, part(path, b"two ", 4, is_end=False)) is None
    file = take_part(upload, part(path, b"three", 8))
    assert file and file.read() == b"one two three"
    assert upload.begun == b""


def test_a_file_whose_beginning_was_lost_is_named(upload: Upload) -> None:
    path = "colors/red/large.bmp"
    expect_files(Session(), upload, {"paths": [path], "tables": []})
    assert take_part(upload, part(path, b"two ", 4, is_end=False)) is None
    file = take_part(upload, part(path, b"three", 8))
    assert file and file.class_name == "red"
    with pytest.raises(UnreadableImageError, match="the browser could not read it"):
        file.read()


def test_content_that_is_no_base64_is_a_file_that_could_not_be_read(upload: Upload) -> None:
    path = "colors/red/1.jpg"
    expect_files(Session(), upload, {"paths": [path], "tables": []})
    file = take_part(upload, {"path": path, "content": "!!", "offset": 0, "is_end": True})
    assert file is not None
    with pytest.raises(UnreadableImageError, match="the browser could not read it"):
        file.read()


def test_too_many_files_are_refused_as_a_whole(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "1")
    with pytest.raises(IngestError, match="There are more than 1 files"):
        expect_files(Session(), upload, {"paths": ["a/b/1.jpg", "a/b/2.jpg"], "tables": []})


def test_only_added_photos_say_how_they_were_read(upload: Upload, make_image: MakeImage) -> None:
    paths = ["colors/red/1.png", "colors/blue/2.png"]
    expect_files(Session(), upload, {"paths": paths, "tables": []})
    files = [take_part(upload, part(path, make_image(seed=seed))) for seed, path in enumerate(paths)]
    wanted = [file for file in files if file]
    first = without_known(upload, upload.before, collect_files(upload.before, wanted))
    assert first.read_as == ReadAs("folders", 2)
    again = Upload("2", first.save(), first)
    again.read_as = ReadAs("names", 5)
    present = ImageDataset.load(Workspace(first.folder.parent.parent), first.id)
    assert without_known(again, present, collect_files(present, wanted)).read_as == ReadAs("folders", 2)
    more = [replace(wanted[0], parts=("red", "3.png"), read=lambda: make_image(seed=9))]
    joined = without_known(again, present, collect_files(present, more)).read_as
    assert joined == ReadAs("names", 5, is_addition=True)
    assert read_as_sentence(joined) == "Added last: Read as 5 classes, from the file names."
