"""Projects whose every file is of its kind, and which still cannot be true: numbers, names, pictures, weights."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.core.conftest import FinishedRun
from tests.core.projects.conftest import listed, members_of, opened, zipped
from tests.core.projects.test_hostile import Change, Members, arrays, assert_refused, named
from transfer_core.data.images.decoding import check_stored, read_image
from transfer_core.errors import UnreadableImageError
from transfer_core.files import read_json, write_json
from transfer_core.projects import texts
from transfer_core.projects.plan import plan_project
from transfer_core.projects.save import save_project
from transfer_core.projects.texts import most_bytes
from transfer_core.runs.run_folder import RunFolder
from transfer_core.workspace import Workspace

HIDDEN = "colours\x1b[2K\r20260101-000000-0123456789abcdef  finished  flowers"


def changed(members: Members, ending: str, change: Change) -> io.BytesIO:
    name = named(members, f"/{ending}")
    facts = json.loads(members[name])
    change(facts)
    return zipped(listed({**members, name: json.dumps(facts).encode()}))


def swap_sides(facts: dict) -> None:
    facts["validation"] = facts["train"]


@pytest.mark.parametrize(
    ("ending", "change"),
    [
        ("split.json", swap_sides),
        ("split.json", lambda facts: facts["validation"].append(facts["train"][0])),
        ("split.json", lambda facts: facts["train"].append(facts["train"][0])),
        ("split.json", lambda facts: facts.update(train=[])),
        ("split.json", lambda facts: facts.update(validation=[])),
        ("split.json", lambda facts: facts["train"].append("a" * 32)),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(image_id="a" * 32)),
        ("evaluation.json", lambda facts: facts["outcomes"].append(facts["outcomes"][0])),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(probability=float("nan"))),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(familiarity=1e9)),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(name="a\u202eb")),
        ("evaluation.json", lambda facts: facts.update(temperature=float("inf"))),
        ("evaluation.json", lambda facts: facts.update(class_names=facts["class_names"][::-1])),
        ("signature.json", lambda facts: facts.update(backbone="efficientnet_lite0")),
        ("signature.json", lambda facts: facts.update(class_names=facts["class_names"][::-1])),
        ("calibration.json", lambda facts: facts.update(temperature=float("nan"))),
        ("calibration.json", lambda facts: facts.update(num_images=-1)),
        ("rejection.json", lambda facts: facts.update(min_probability=float("nan"))),
        ("rejection.json", lambda facts: facts.update(num_neighbors=1.5)),
        ("dataset.json", lambda facts: facts.update(name=HIDDEN)),
        ("dataset.json", lambda facts: facts.update(name="two\nlines")),
        ("dataset.json", lambda facts: facts.update(name="")),
        ("dataset.json", lambda facts: facts["images"][0].update(name="cat\u2066.jpg")),
        ("dataset.json", lambda facts: facts["images"][0].update(width=-1)),
        ("dataset.json", lambda facts: facts["images"][0].update(brightness=float("inf"))),
        ("dataset.json", lambda facts: facts["images"][0].update(fingerprint="not hexadecimal")),
        ("dataset.json", lambda facts: facts["images"][0].update(split="both")),
        ("dataset.json", lambda facts: facts.update(validation_split=float("nan"))),
        ("dataset.json", lambda facts: facts.update(grey_ranges=[[0, float("nan")], None])),
        ("dataset.json", lambda facts: facts.update(grey_ranges=[None, [5, 1]])),
        ("dataset.json", lambda facts: facts.update(notices=[{"kind": "stretched"}])),
        ("dataset.json", lambda facts: facts.update(notices=[{"kind": "unused_table", "name": HIDDEN}])),
        ("dataset.json", lambda facts: facts.update(notices=[{"kind": "subfolders", "names": ["a\nb"]}])),
        (
            "dataset.json",
            lambda facts: facts.update(read_as={"labels_from": "table", "num_classes": 2, "column": HIDDEN}),
        ),
        ("signature.json", lambda facts: facts.update(grey_ranges=[[0, float("inf")], None])),
        ("config.json", lambda facts: facts["dataset"].update(name=HIDDEN)),
        ("config.json", lambda facts: facts["dataset"].update(version=-1)),
        ("config.json", lambda facts: facts["config"].update(learning_rate=float("nan"))),
        ("config.json", lambda facts: facts.update(note="\x9b2K")),
    ],
)
def test_facts_that_cannot_be(project_path: Path, workspace: Workspace, ending: str, change: Change) -> None:
    assert_refused(workspace, changed(members_of(project_path), ending, change), "The project was not opened")


@pytest.mark.parametrize(
    "change",
    [
        {"val_accuracy": 1.5},
        {"accuracy": -0.1},
        {"epoch": -3},
        {"val_accuracy": float("nan")},
        {"time": -1.0},
        {"learning_rate": float("inf")},
    ],
)
def test_events_that_cannot_be(project_path: Path, workspace: Workspace, change: dict) -> None:
    members = members_of(project_path)
    name = named(members, "events.jsonl")
    lines = members[name].decode().splitlines()
    place = next(place for place, line in enumerate(lines) if "EpochEnded" in line)
    lines[place] = json.dumps(json.loads(lines[place]) | change)
    members[name] = "\n".join([*lines, ""]).encode()
    assert_refused(workspace, zipped(listed(members)), "content of events.jsonl is not valid")


def test_a_log_with_a_line_that_was_cut_off_and_a_loss_out_of_bounds(
    project_path: Path, workspace: Workspace
) -> None:
    members = members_of(project_path)
    name = named(members, "events.jsonl")
    first, rest = members[name].split(b"\n", 1)
    batch = {"event": "BatchEnded", "time": 1.0, "epoch": 1, "step": 1, "loss": float("nan"), "accuracy": 0.5}
    extra = json.dumps({**batch, "num_images": 8}).encode()
    members[name] = b"\n".join([first, first[:20], extra, b'{"event": "OfALaterVersion", "time": 1}', rest])
    assert opened(workspace, zipped(listed(members))).run_ids


def jpeg(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, 16)).save(buffer, "JPEG")
    return buffer.getvalue()


def many_scans() -> bytes:
    """A progressive JPEG whose last scan is there a thousand times: each decodes all of the picture again."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    place = content.rindex(b"\xff\xda")
    return content[:place] + content[place:-2] * 1000 + content[-2:]


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html><script>alert(1)</script></html>", "a web page"),
        (b"", "empty|not a photo"),
        (jpeg(16)[:-300], "cut off or damaged"),
        (jpeg(1025), "larger than 1,024 pixels"),
        (png(), "cut off or damaged"),
        (many_scans(), "takes very long"),
    ],
)
def test_pictures_that_are_none(
    project_path: Path, workspace: Workspace, content: bytes, reason: str
) -> None:
    members = members_of(project_path)
    members[named(members, ".jpg")] = content
    assert_refused(workspace, zipped(listed(members)), f"is not a photo: .*({reason})")


def test_a_picture_that_belongs_to_nothing(project_path: Path, workspace: Workspace) -> None:
    members = members_of(project_path)
    picture = named(members, ".jpg")
    stray = picture.rpartition("/")[0] + f"/{'a' * 32}.jpg"
    assert_refused(workspace, zipped(listed({**members, stray: members[picture]})), "The folder of photos")


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_weights_with_which_no_network_can_answer(
    project_path: Path, workspace: Workspace, value: float
) -> None:
    members = members_of(project_path)
    name = named(members, "weights.npz")
    with np.load(io.BytesIO(members[name])) as file:
        numbers = {key: np.full_like(file[key], value) for key in file.files}
    members[name] = arrays(**numbers)
    assert_refused(workspace, zipped(listed(members)), "infinity or NaN")


def test_a_damaged_picture_here_is_missing_in_the_project(
    finished_run: FinishedRun, workspace: Workspace, tmp_path: Path, project_path: Path
) -> None:
    result = opened(workspace, project_path)
    folder = workspace.dataset_dir(result.dataset_id) / "images"
    picture = next(folder.glob("*.jpg"))
    picture.write_bytes(picture.read_bytes()[:-50])
    save_project(workspace, plan_project(workspace, result.dataset_id), tmp_path / "again.zip")
    other = Workspace(tmp_path / "other")
    assert opened(other, tmp_path / "again.zip").run_ids == result.run_ids
    there = {path.name for path in (other.dataset_dir(result.dataset_id) / "images").iterdir()}
    assert there == {path.name for path in folder.iterdir()} - {picture.name}


def test_a_run_that_would_be_refused_is_not_saved(project_path: Path, workspace: Workspace) -> None:
    result = opened(workspace, project_path)
    path = workspace.run_dir(result.run_ids[0]) / "split.json"
    split = read_json(path)
    swap_sides(split)
    write_json(path, split)
    plan = plan_project(workspace, result.dataset_id)
    assert [(run.id, run.reason) for run in plan.left_out] == [
        (result.run_ids[0], "The content of split.json is not valid.")
    ]


def test_notes_are_cleaned_when_they_are_read(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text(json.dumps({"name": HIDDEN, "note": "one\ntwo\x1b[2K"}))
    notes = RunFolder(tmp_path).notes()
    assert notes.name.isprintable()
    assert notes.note == "one\ntwo[2K"


def test_a_picture_that_takes_very_long_is_not_taken_in_either() -> None:
    with pytest.raises(UnreadableImageError, match="takes very long"):
        read_image(many_scans())


def test_stored_pictures_are_decoded_to_the_end() -> None:
    check_stored(jpeg(1024))
    for length in range(0, len(jpeg(64)) - 2, 7):
        with pytest.raises(UnreadableImageError):
            check_stored(jpeg(64)[:length])


def test_the_measure_of_json_leaves_room_for_real_photos(
    project_path: Path, finished_run: FinishedRun
) -> None:
    members = members_of(project_path)
    num_photos = len(finished_run.dataset.images)
    for ending in ("dataset.json", "evaluation.json", "split.json"):
        content = members[named(members, ending)]
        num_values = sum(content.count(mark) for mark in (b",", b"[", b"{"))
        assert len(content) / num_photos < 0.8 * (most_bytes(ending, 1001) - most_bytes(ending, 1)) / 1000
        assert num_values / num_photos < 0.5 * texts._MOST_VALUES_PER_PHOTO


def test_a_run_beyond_the_measure_is_not_saved(
    project_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = opened(workspace, project_path)
    monkeypatch.setattr(texts, "_MOST_EVENTS", 3)
    (left_out,) = plan_project(workspace, result.dataset_id).left_out
    assert left_out.reason == "events.jsonl is too large for this number of photos."
