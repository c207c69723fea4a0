"""Files on their way back: what a training changed, and how the folder of its run takes it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.run_folder import SPLIT
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster import returned_files
from transfer_core.work.cluster.returned_files import ReturnedFiles, put_back
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace


@pytest.fixture
def run(workspace: Workspace, dataset: ImageDataset, tiny_config: TrainingConfig) -> TrainingRun:
    return TrainingRun.create(workspace, dataset, tiny_config)


@pytest.fixture
def node(workspace: Workspace, run: TrainingRun, tmp_path: Path) -> TrainingRun:
    """The copy of the run on a node."""
    shutil.copytree(workspace.root, tmp_path / "node")
    return TrainingRun.load(Workspace(tmp_path / "node"), run.id)


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        beside = folder / f".{Path(name).name}"
        beside.write_bytes(content)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        beside.replace(folder / name)


def all_changed(returned: ReturnedFiles) -> list[dict[str, bytes | None]]:
    batches = []
    while batch := returned.changed():
        batches.append(batch)
    return batches


def files_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_only_what_was_written_since_the_last_call_is_returned(node):
    returned = ReturnedFiles(node.folder)
    assert returned.changed() == {}
    write(node.folder, {"checkpoints/checkpoint.npz": b"1", "left_out.json": b"{}"})
    assert returned.changed() == {"checkpoints/checkpoint.npz": b"1", "left_out.json": b"{}"}
    assert returned.changed() == {}
    write(node.folder, {"checkpoints/checkpoint.npz": b"2"})
    assert returned.changed() == {"checkpoints/checkpoint.npz": b"2"}


def test_deleted_files_are_returned_as_deleted(node):
    returned = ReturnedFiles(node.folder)
    write(node.folder, {"folds/2/checkpoints/checkpoint.npz": b"1", "checkpoints/checkpoint.npz": b"1"})
    returned.changed()
    shutil.rmtree(node.folder / "folds")
    assert returned.changed() == {"folds/2/checkpoints/checkpoint.npz": None}
    assert returned.changed() == {}


def test_locks_events_notes_and_temporary_files_are_not_returned(node):
    returned = ReturnedFiles(node.folder)
    names = (
        "lock",
        "stop",
        "events.jsonl",
        "notes.json",
        "notes.json.lock",
        "api_key.json",
        "exports/a.zip",
        "folds/2/model.keras",
        "series.json",
    )
    write(node.folder, dict.fromkeys(names, b"x"))
    (node.folder / ".model-1a2b.keras").write_bytes(b"half")
    assert returned.changed() == {}


def test_a_large_file_comes_in_pieces_and_is_moved_in_when_it_is_whole(node, run, monkeypatch):
    monkeypatch.setattr(returned_files, "CHUNK_BYTES", 4)
    returned = ReturnedFiles(node.folder)
    write(node.folder, {"model.keras": b"0123456789"})
    batches = all_changed(returned)
    assert batches == [
        {"model.keras@0/10": b"0123"},
        {"model.keras@4/10": b"4567"},
        {"model.keras@8/10": b"89"},
    ]
    for number, batch in enumerate(batches):
        assert (run.folder / "model.keras").is_file() == (number == 3)
        put_back(run.folder, batch)
    assert (run.folder / "model.keras").read_bytes() == b"0123456789"


def test_small_files_share_a_batch_up_to_its_size(node, monkeypatch):
    monkeypatch.setattr(returned_files, "CHUNK_BYTES", 4)
    returned = ReturnedFiles(node.folder)
    write(node.folder, {"a": b"12", "b": b"34", "c": b"56"})
    assert all_changed(returned) == [{"a": b"12", "b": b"34"}, {"c": b"56"}]


def test_a_large_file_that_is_replaced_meanwhile_comes_in_its_new_version(node, run, monkeypatch):
    monkeypatch.setattr(returned_files, "CHUNK_BYTES", 4)
    returned = ReturnedFiles(node.folder)
    write(node.folder, {"model.keras": b"0123456789"})
    put_back(run.folder, returned.changed())
    write(node.folder, {"model.keras": b"abcdefgh"})
    for batch in all_changed(returned):
        put_back(run.folder, batch)
    assert (run.folder / "model.keras").read_bytes() == b"abcdefgh"


def test_a_missing_piece_is_noticed(node, run, monkeypatch):
    monkeypatch.setattr(returned_files, "CHUNK_BYTES", 4)
    returned = ReturnedFiles(node.folder)
    write(node.folder, {"model.keras": b"0123456789"})
    first, _second, last = all_changed(returned)
    put_back(run.folder, first)
    with pytest.raises(WorkspaceError, match="did not come back whole"):
        put_back(run.folder, last)
    assert not (run.folder / "model.keras").exists()


def test_a_whole_training_comes_back_and_nothing_else_is_touched(workspace, node, run):
    returned = ReturnedFiles(node.folder)
    run.files.write_notes(RunNotes(name="Mine"))
    execute_run(Workspace.of_run(node.folder), node, lambda event: None, lambda: False)
    for batch in all_changed(returned):
        put_back(run.folder, batch)
    theirs, ours = files_in(node.folder), files_in(run.folder)
    assert ours.pop("notes.json")
    assert ours == theirs
    assert {"model.keras", "signature.json", "evaluation.json", "split.json"} <= ours.keys()


def test_deleted_files_are_deleted(run):
    write(run.folder, {"checkpoints/checkpoint.npz": b"1"})
    put_back(run.folder, {"checkpoints/checkpoint.npz": None, "model.keras": None})
    assert not run.has_checkpoint


def test_nothing_is_moved_in_unless_all_is_staged(run, file_size_limit):
    write(run.folder, {"split.json": b"before"})
    with file_size_limit(4096), pytest.raises(WorkspaceError, match="could not be saved"):
        put_back(run.folder, {"split.json": b"after", "model.keras": b"x" * 10_000})
    assert (run.folder / "split.json").read_bytes() == b"before"
    assert not (run.folder / ".returned").exists()


def test_a_run_that_was_deleted_is_not_made_again(run):
    shutil.rmtree(run.folder)
    with pytest.raises(NotFoundError):
        put_back(run.folder, {"split.json": b"{}"})
    assert not run.folder.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/x",
        "folds/../../x",
        ".hidden",
        "lock",
        "stop",
        "events.jsonl",
        "notes.json",
        "api_key.json",
        "new_photos/a",
        "a\\b",
        "model.keras@0",
    ],
)
def test_a_name_that_no_training_writes_is_refused(run, name):
    before = files_in(run.folder)
    with pytest.raises(WorkspaceError, match="may not write"):
        put_back(run.folder, {"split.json": b"{}", name: b"x"})
    assert files_in(run.folder) == before


@given(st.text(alphabet="./\\:ab@0 \n", min_size=1, max_size=12))
def test_every_name_that_is_accepted_is_inside_the_folder(name):
    try:
        place = returned_files._place(name)
    except WorkspaceError:
        return
    assert (Path("/runs/1") / place.name).is_relative_to(Path("/runs/1"))
    assert not {"..", "."} & set(place.name.split("/")) and "\\" not in place.name


def examine(node: TrainingRun) -> ImageDataset:
    """Do on the node what a training does that finds series."""
    dataset = ImageDataset.load(Workspace.of_run(node.folder), node.dataset_id)
    first, second, *_others = [image.id for image in dataset.images_in("train")]
    examined = dataset.with_series({first: first, second: first}).save()
    node.begin(examined)
    return examined


def test_series_that_a_training_found_become_those_of_the_dataset(workspace, node, run, dataset):
    returned = ReturnedFiles(node.folder)
    theirs = examine(node)
    put_back(run.folder, returned.changed())
    ours = ImageDataset.load(workspace, dataset.id)
    assert ours.images == theirs.images != dataset.images
    assert ours.series_version == ours.version == dataset.version + 1
    assert TrainingRun.load(workspace, run.id).dataset_version == ours.version
    assert not (run.folder / "series.json").exists()


def test_series_are_taken_once(workspace, node, run, dataset):
    returned = ReturnedFiles(node.folder)
    node.begin(examine(node))
    batch = returned.changed()
    put_back(run.folder, batch)
    put_back(run.folder, batch)
    assert ImageDataset.load(workspace, dataset.id).version == dataset.version + 1


def test_photos_that_were_changed_meanwhile_are_kept_and_the_run_keeps_the_version_it_began_with(
    workspace, node, run, dataset
):
    returned = ReturnedFiles(node.folder)
    examine(node)
    edited = dataset.without([dataset.images[0].id]).save()
    put_back(run.folder, returned.changed())
    assert ImageDataset.load(workspace, dataset.id) == edited
    stored = TrainingRun.load(workspace, run.id)
    assert stored.dataset_version == dataset.version
    assert not edited.has_photos_of(stored.dataset_version)
    # Written again when the training knows which photos are damaged.
    node.write_split(ImageDataset.load(Workspace.of_run(node.folder), node.dataset_id))
    put_back(run.folder, returned.changed())
    assert SPLIT.read(run.folder).dataset_version == dataset.version


def test_another_training_that_examined_the_same_photos_before_is_no_conflict(workspace, node, run, dataset):
    returned = ReturnedFiles(node.folder)
    theirs = examine(node)
    ours = dataset.with_series({image.id: image.series for image in theirs.images}).save()
    put_back(run.folder, returned.changed())
    assert ImageDataset.load(workspace, dataset.id) == ours
    assert TrainingRun.load(workspace, run.id).dataset_version == theirs.version
