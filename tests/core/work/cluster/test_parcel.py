"""The description of what a job needs, its content in chunks, and paths that lead nowhere else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.backbones.registry import DEFAULT_BACKBONE, get_backbone
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.events import PhaseStarted
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster import parcel as parcels
from transfer_core.work.cluster.parcel import (
    ChangedMeanwhileError,
    FileRef,
    Parcel,
    chunks,
    parcel_of_dataset,
    parcel_of_run,
    send_parcel,
)
from transfer_core.workspace import Workspace

DIGEST = hashlib.sha256(b"").hexdigest()
RUN_ID = "20261122-140512-0123456789abcdef"


@pytest.fixture
def dataset(workspace: Workspace, make_image) -> ImageDataset:
    files = [
        ImportedFile((color, f"{number}.png"), lambda c=color, n=number: make_image(c, seed=n, noise=90))
        for color in ("blue", "red")
        for number in range(2)
    ]
    return add_files(create_dataset(workspace, "Colours"), files).save()


@pytest.fixture
def run(workspace: Workspace, dataset: ImageDataset) -> TrainingRun:
    marks = {"sweep.json": {"a": 1}}
    return TrainingRun.create(workspace, dataset, TrainingConfig(backbone="tiny_random"), marks)


def photos_of(dataset: ImageDataset) -> set[str]:
    return {f"datasets/{dataset.id}/images/{image.id}.jpg" for image in dataset.images}


def paths_of(parcel: Parcel) -> set[str]:
    return {ref.path for ref in parcel.files}


def sent(workspace: Workspace, parcel: Parcel) -> dict[str, bytes]:
    merged: dict[str, bytes] = {}
    for chunk in chunks(workspace, parcel, {ref.digest for ref in parcel.files}):
        merged |= chunk
    return merged


def test_a_run_is_described_with_its_choices_marks_events_checkpoints_and_photos(workspace, dataset, run):
    EventLog(run.folder / EVENTS_FILE).append(PhaseStarted(1.0, "head", 3))
    for name in ("checkpoints/checkpoint.npz", "folds/2/fold.json", "left_out.json", "split.json"):
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).write_bytes(b"{}")
    parcel = parcel_of_run(workspace, run)
    names = (
        "config.json",
        "sweep.json",
        "events.jsonl",
        "checkpoints/checkpoint.npz",
        "folds/2/fold.json",
        "left_out.json",
        "split.json",
    )
    own = {f"runs/{run.id}/{name}" for name in names}
    assert paths_of(parcel) == own | photos_of(dataset) | {f"datasets/{dataset.id}/dataset.json"}
    for ref in parcel.files:
        content = (workspace.root / ref.path).read_bytes()
        assert (ref.digest, ref.size) == (hashlib.sha256(content).hexdigest(), len(content))


def test_locks_notes_keys_exports_and_temporary_files_are_left_behind(workspace, run):
    run.files.write_notes(RunNotes(name="Mine"))
    names = (
        "lock",
        "stop",
        "api_key.json",
        "notes.json.lock",
        ".config-1a2b.json",
        "exports/a.zip",
        "new_photos/datasets/x/dataset.json",
        "folds/2/model.keras",
        "checkpoints/.checkpoint-1a2b.npz",
    )
    for name in names:
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).write_bytes(b"x")
    of_run = {path for path in paths_of(parcel_of_run(workspace, run)) if path.startswith("runs/")}
    assert of_run == {f"runs/{run.id}/config.json", f"runs/{run.id}/sweep.json"}


def test_excluded_and_missing_photos_are_no_part_of_it(workspace, dataset, run):
    excluded, missing, *_others = dataset.images
    dataset = dataset.without([excluded.id]).save()
    dataset.image_path(missing).unlink()
    described = paths_of(parcel_of_dataset(workspace, dataset, ()))
    assert described == (photos_of(dataset) | {f"datasets/{dataset.id}/dataset.json"}) - {
        f"datasets/{dataset.id}/images/{missing.id}.jpg"
    }


def test_photos_are_read_once_for_each_version(workspace, dataset, run, monkeypatch):
    read: list[Path] = []
    digest_of = parcels.digest_of
    monkeypatch.setattr(parcels, "digest_of", lambda path: read.append(path) or digest_of(path))
    first = parcel_of_dataset(workspace, dataset, ())
    assert len([path for path in read if path.suffix == ".jpg"]) == len(dataset.images)
    read.clear()
    assert parcel_of_dataset(workspace, dataset, ()) == first
    assert not [path for path in read if path.suffix == ".jpg"]
    changed = dataset.image_path(dataset.images[0])
    changed.write_bytes(b"another photo")
    assert parcel_of_dataset(workspace, dataset, ()) != first
    assert [path for path in read if path.suffix == ".jpg"] == [changed]


def test_downloaded_weights_come_along_but_none_of_an_installed_package(
    workspace, dataset, tmp_path, monkeypatch
):
    monkeypatch.setenv("TRANSFER_STUDIO_WEIGHTS", str(tmp_path / "downloaded"))
    zoo, packaged = get_backbone("mobilenet_v2"), get_backbone(DEFAULT_BACKBONE)
    assert not [path for path in paths_of(parcel_of_dataset(workspace, dataset, [zoo])) if "weights" in path]
    (tmp_path / "downloaded").mkdir()
    file = zoo.weights.download.name
    (tmp_path / "downloaded" / file).write_bytes(b"weights")
    parcel = parcel_of_dataset(workspace, dataset, [zoo, zoo, packaged])
    assert [ref.path for ref in parcel.files if not ref.path.startswith("datasets")] == [f"weights/{file}"]
    assert b"weights" in sent(workspace, parcel).values()


def test_a_deleted_run_is_named(workspace, run):
    (run.folder / "config.json").unlink()
    with pytest.raises(NotFoundError):
        parcel_of_run(workspace, run)


def test_chunks_hold_all_content_in_at_most_the_size_of_a_chunk(workspace, dataset, run, monkeypatch):
    monkeypatch.setattr(parcels, "CHUNK_BYTES", 1000)
    (run.folder / "checkpoints").mkdir()
    large = bytes(range(256)) * 10
    (run.folder / "checkpoints/checkpoint.npz").write_bytes(large)
    parcel = parcel_of_run(workspace, run)
    found = list(chunks(workspace, parcel, {ref.digest for ref in parcel.files}))
    assert len(found) > 3
    assert all(sum(map(len, chunk.values())) <= 1000 for chunk in found)
    digest = hashlib.sha256(large).hexdigest()
    pieces = {key: piece for chunk in found for key, piece in chunk.items() if key.startswith(digest)}
    assert list(pieces) == [f"{digest}@0/2560", f"{digest}@1000/2560", f"{digest}@2000/2560"]
    assert b"".join(pieces.values()) == large


def test_only_content_that_is_wanted_is_sent(workspace, dataset, run):
    parcel = parcel_of_run(workspace, run)
    one = parcel.files[0]
    assert list(chunks(workspace, parcel, {one.digest})) == [
        {one.digest: (workspace.root / one.path).read_bytes()}
    ]
    assert list(chunks(workspace, parcel, set())) == []


def test_a_photo_that_was_deleted_or_changed_meanwhile_is_left_out(workspace, dataset, run):
    parcel = parcel_of_run(workspace, run)
    deleted, changed, *_others = dataset.images
    dataset.image_path(deleted).unlink()
    dataset.image_path(changed).write_bytes(b"another photo")
    by_path = {ref.path: ref.digest for ref in parcel.files}
    gone = {by_path[f"datasets/{dataset.id}/images/{image.id}.jpg"] for image in (deleted, changed)}
    assert sent(workspace, parcel).keys() == set(by_path.values()) - gone


def test_a_log_that_has_grown_is_sent_as_it_was_described(workspace, run):
    log = EventLog(run.folder / EVENTS_FILE)
    log.append(PhaseStarted(1.0, "head", 3))
    parcel = parcel_of_run(workspace, run)
    before = (run.folder / EVENTS_FILE).read_bytes()
    log.append(PhaseStarted(2.0, "fine_tuning", 3))
    assert before in sent(workspace, parcel).values()


def test_a_file_that_was_changed_meanwhile_is_described_and_sent_again(workspace, dataset, run):
    parcel = parcel_of_run(workspace, run)
    dataset.relabelled([dataset.images[0].id], "green").save()
    with pytest.raises(ChangedMeanwhileError):
        sent(workspace, parcel)

    descriptions: Iterator[Parcel] = iter([parcel, present := parcel_of_run(workspace, run)])
    received: dict[str, bytes] = {}
    kept = send_parcel(
        workspace, lambda: next(descriptions), lambda p: {ref.digest for ref in p.files}, received.update
    )
    assert kept == present
    assert (dataset.folder / "dataset.json").read_bytes() in received.values()


def test_a_file_that_changes_all_the_time_ends_in_one_sentence(workspace, run):
    parcel = parcel_of_run(workspace, run)
    (run.folder / "config.json").write_bytes(b"{}")
    with pytest.raises(WorkspaceError, match=r"config\.json was changed"):
        send_parcel(workspace, lambda: parcel, lambda p: {ref.digest for ref in p.files}, lambda chunk: None)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../outside",
        f"runs/{RUN_ID}/../../outside",
        f"runs/{RUN_ID}/folds/../x",
        f"runs/{RUN_ID}/.hidden",
        f"runs/{RUN_ID}/a\\..\\b",
        f"runs/{RUN_ID}/c:x",
        f"runs/{RUN_ID}/a.",
        f"runs/{RUN_ID}/",
        f"runs/{RUN_ID}//a",
        f"runs/{RUN_ID}/a\n",
        "runs/other/config.json",
        "runs/../config.json",
        f"trash/{RUN_ID}/a",
        "weights/../a",
        "weights",
        "cache/a",
        "",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path):
    with pytest.raises(WorkspaceError):
        FileRef(path, DIGEST, 0)


@pytest.mark.parametrize("digest", ["", "../x", DIGEST[:-1], DIGEST.upper(), DIGEST + "\n"])
def test_a_digest_is_64_hexadecimal_digits(digest):
    with pytest.raises(WorkspaceError):
        FileRef("weights/a.h5", digest, 0)


@given(
    st.text(alphabet="./\\:ab~\x00 ", max_size=12),
    st.sampled_from(["weights/", f"runs/{RUN_ID}/", f"datasets/{RUN_ID}/images/", ""]),
)
def test_every_path_that_is_accepted_is_inside_the_workspace(text, room):
    root = Path("/node/job")
    try:
        ref = FileRef(room + text, DIGEST, 0)
    except WorkspaceError:
        return
    assert (root / ref.path).is_relative_to(root)
    assert ".." not in ref.path.split("/") and "\\" not in ref.path and ":" not in ref.path
