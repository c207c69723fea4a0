"""The worker of a node, called here without Ray."""

from __future__ import annotations

import json
import platform
import threading
from pathlib import Path

import msgspec
import pytest

from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import InsufficientResourcesError, WorkspaceError
from transfer_core.events import event_from_dict
from transfer_core.language import said
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.work.cluster import actor
from transfer_core.work.cluster.job import check_files
from transfer_core.work.cluster.job_kinds import JOB_KINDS, WorkKind
from transfer_core.work.cluster.messages import RUN
from transfer_core.work.cluster.node_cache import FOLDER_VARIABLE
from transfer_core.work.cluster.parcel import Parcel, chunks, parcel_of_dataset, parcel_of_run


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_uses_no_more_gpus_than_were_reserved(
    num_gpus: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loads: list[tuple[int, int]] = []
    has_loaded = threading.Event()

    def load_keras(num_threads: int, num_gpus: int) -> None:
        loads.append((num_threads, num_gpus))
        has_loaded.set()

    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(actor, "load_keras", load_keras)
    actor.NodeWorker(2, num_gpus, is_beside_app=False)
    assert has_loaded.wait(30)
    assert loads == [(2, num_gpus)]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> actor.NodeWorker:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "node"))
    monkeypatch.setattr(actor, "load_keras", lambda num_threads, num_gpus: None)
    return actor.NodeWorker(1, 0, is_beside_app=False)


def begin(worker: actor.NodeWorker, workspace, dataset, kind: str) -> None:
    """Send a node what it lacks, and begin."""
    parcel = parcel_of_dataset(workspace, dataset, ())
    encoded = msgspec.json.encode(parcel)
    for chunk in chunks(workspace, parcel, worker.missing(encoded)):
        worker.add(chunk)
    worker.begin(encoded, kind, json.dumps({"dataset_id": dataset.id}))


def batches_of(worker: actor.NodeWorker, state: str = "go") -> list[actor.Batch]:
    batches = [actor.Batch(**worker.poll(state, 0.05))]
    while not batches[-1].is_over:
        batches.append(actor.Batch(**worker.poll(state, 0.05)))
    return batches


def count(workspace, arguments, report, should_stop) -> dict:
    dataset = ImageDataset.load(workspace, arguments["dataset_id"])
    for number, image in enumerate(dataset.images):
        assert dataset.image_path(image).is_file()
        report({"num_done": number + 1})
    return {"count": len(dataset.images)}


def stop_at_once(workspace, arguments, report, should_stop) -> dict:
    while not should_stop():
        pass
    raise FeaturesStoppedError


def fail(workspace, arguments, report, should_stop) -> dict:
    raise InsufficientResourcesError("The disk of lab-1 is full.")


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, work in (("count", count), ("stop", stop_at_once), ("fail", fail)):
        monkeypatch.setitem(JOB_KINDS, name, WorkKind(lambda _workspace, _arguments: Parcel(()), work))


def test_works_on_one_job_after_the_other(worker, kinds, session_workspace, color_dataset) -> None:
    for _number in range(3):
        begin(worker, session_workspace, color_dataset, "count")
        batches = batches_of(worker)
        lines = [json.loads(line) for batch in batches for line in batch.lines]
        assert lines == [{"num_done": number} for number in range(1, 25)]
        assert batches[-1].result == {"count": 24}


def test_stopped_work_has_no_result_and_failed_work_a_sentence(
    worker, kinds, session_workspace, color_dataset
) -> None:
    begin(worker, session_workspace, color_dataset, "stop")
    assert actor.Batch(**worker.poll("go", 0.0)).is_over is False
    assert batches_of(worker, "stop")[-1].result is None
    begin(worker, session_workspace, color_dataset, "fail")
    assert batches_of(worker)[-1].failure == "The disk of lab-1 is full."


def test_failed_run_takes_nothing_from_the_head(worker, monkeypatch, workspace, dataset, tiny_config) -> None:
    def fill_the_disk(_workspace, run: TrainingRun, *_others: object) -> None:
        (run.folder / "calibration.json").write_text("{}")
        raise WorkspaceError("Free some space.")

    monkeypatch.setattr(actor, "execute_run_safely", fill_the_disk)
    monkeypatch.setattr(actor, "has_room", lambda _folder, _num_bytes: False)
    monkeypatch.setattr(actor, "free_disk", lambda _folder: 90_000)
    run = TrainingRun.create(workspace, dataset, tiny_config)
    parcel = parcel_of_run(workspace, run)
    encoded = msgspec.json.encode(parcel)
    for chunk in chunks(workspace, parcel, worker.missing(encoded)):
        worker.add(chunk)
    worker.begin(encoded, RUN, json.dumps({"run_id": run.id}))
    batches = batches_of(worker)
    assert [batch.files for batch in batches if batch.files] == [{"calibration.json": b"{}"}]
    ended = event_from_dict(json.loads(batches[-1].end))
    assert (ended.outcome, said(ended.message)) == (
        "interrupted",
        f"Free some space. On the disk of {platform.node()}, 90 KB are free.",
    )


def test_damaged_files_are_found() -> None:
    files = {"model.keras": b"weights", "checkpoints/checkpoint.npz": None}
    batch = actor.Batch((), files, actor.digest_of(files), False, "", None, "")
    check_files(batch)
    for damaged in ({**files, "model.keras": b"weightz"}, {"model.keras": b"weights"}):
        with pytest.raises(WorkspaceError, match="came back damaged"):
            check_files(msgspec.structs.replace(batch, files=damaged))
