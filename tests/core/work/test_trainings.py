"""Trainings: one run at a time, in order; status, place and snapshot are right at every moment."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import IngestError, NotFoundError, TrainingError, WorkspaceError
from transfer_core.events import EpochEnded, RunEnded, RunStarted, TrainingEvent
from transfer_core.language import said
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Task
from transfer_core.work.trainings import Trainings
from transfer_core.workspace import Workspace

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
STARTED = RunStarted(100.0, 18, 6, 1)
EPOCH = EpochEnded(101.0, 1, "head", 1.0, 0.5, 0.9, 0.6)


class Workers:
    """Starts the queue's threads and knows when they have come to their end."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []

    def __call__(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def num_started(self) -> int:
        return len(self._threads)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


class ScriptedTraining:
    """Stands in for a training: it starts, waits until the test lets it go on, and ends."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.num_at_once = 0
        self.most_at_once = 0
        self.fails: set[str] = set()
        self._begun: dict[str, threading.Event] = {}
        self._may_end: dict[str, threading.Event] = {}

    def __call__(
        self,
        workspace: Workspace,
        run: TrainingRun,
        emit: Callable[[TrainingEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.num_at_once += 1
        self.most_at_once = max(self.most_at_once, self.num_at_once)
        self.order.append(run.id)
        emit(STARTED)
        _event_of(self._begun, run.id).set()
        assert _event_of(self._may_end, run.id).wait(PATIENCE)
        self.num_at_once -= 1
        if run.id in self.fails:
            raise OSError("the disk is full")
        emit(EPOCH)
        emit(RunEnded(102.0, "stopped" if should_stop() else "finished", "", 1))

    def wait_until_begun(self, run_id: str) -> None:
        assert _event_of(self._begun, run_id).wait(PATIENCE)

    def let_end(self, *run_ids: str) -> None:
        for run_id in run_ids:
            _event_of(self._may_end, run_id).set()


def _event_of(events: dict[str, threading.Event], run_id: str) -> threading.Event:
    # Not a defaultdict: two threads that ask first would each get an event of their own.
    return events.setdefault(run_id, threading.Event())


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def training() -> Iterator[ScriptedTraining]:
    training = ScriptedTraining()
    yield training
    for event in training._may_end.values():
        event.set()


@pytest.fixture
def queue(workspace: Workspace, training: ScriptedTraining, workers: Workers) -> Trainings:
    return Trainings(workspace, training, WorkQueue(workers))


@pytest.fixture
def submit(queue: Trainings, color_dataset: ImageDataset) -> Callable[..., str]:
    return lambda: queue.submit(color_dataset, TrainingConfig(backbone="tiny_random"))


def states(queue: Trainings, *run_ids: str) -> list[tuple[str, int]]:
    return [(queue.status(run_id), queue.place(run_id)) for run_id in run_ids]


def test_runs_are_carried_out_in_order_one_at_a_time(queue, training, workers, submit) -> None:
    ids = [submit() for _ in range(4)]
    training.let_end(*ids)
    workers.join()
    assert training.order == ids
    assert training.most_at_once == 1
    assert workers.num_started == 1
    assert states(queue, *ids) == [("finished", 0)] * 4


def test_later_runs_wait_with_their_place(queue, training, workers, submit) -> None:
    first, second, third = submit(), submit(), submit()
    training.wait_until_begun(first)
    assert states(queue, first, second, third) == [("running", 0), ("queued", 1), ("queued", 2)]
    assert queue.running_runs[0].id == first
    training.let_end(first)
    training.wait_until_begun(second)
    assert states(queue, first, second, third) == [("finished", 0), ("running", 0), ("queued", 1)]
    training.let_end(second, third)
    workers.join()
    assert not queue.running_runs


def test_training_behind_other_work_is_queued_and_no_run_is_running(
    workspace, training, workers, color_dataset
) -> None:
    may_end = threading.Event()
    work = WorkQueue(workers)
    audition = work.start(Task("audition", 1, lambda task: may_end.wait(PATIENCE)))
    queue = Trainings(workspace, training, work)
    first, second = (queue.submit(color_dataset, TrainingConfig(backbone="tiny_random")) for _ in range(2))
    assert states(queue, first, second) == [("queued", 0), ("queued", 1)]
    assert not queue.running_runs
    queue.request_stop(second)
    assert queue.status(second) == "stopped"
    may_end.set()
    assert audition.wait(PATIENCE)
    training.wait_until_begun(first)
    assert states(queue, first) == [("running", 0)]
    training.let_end(first)
    workers.join()


def test_work_of_a_page_goes_before_trainings_that_wait(workspace, training, workers, color_dataset) -> None:
    work = WorkQueue(workers)
    queue = Trainings(workspace, training, work)
    first, second = (queue.submit(color_dataset, TrainingConfig(backbone="tiny_random")) for _ in range(2))
    work.start(Task("export", 1, lambda _task: training.order.append("export")))
    training.let_end(first, second)
    workers.join()
    assert training.order == [first, "export", second]


def test_submit_returns_before_the_training_ends(queue, training, workers, submit) -> None:
    run_id = submit()
    assert queue.status(run_id) == "running"
    training.let_end(run_id)
    workers.join()


def test_new_run_after_all_have_ended_starts_again(queue, training, workers, submit) -> None:
    first = submit()
    training.let_end(first)
    workers.join()
    second = submit()
    training.let_end(second)
    workers.join()
    assert workers.num_started == 2
    assert queue.status(second) == "finished"


def test_stop_reaches_the_run_that_is_trained(queue, training, workers, submit) -> None:
    first, second = submit(), submit()
    training.wait_until_begun(first)
    assert not queue.is_stopping(first)
    queue.request_stop(first)
    assert queue.is_stopping(first)
    assert queue.status(first) == "running"
    training.let_end(first, second)
    workers.join()
    assert [queue.status(run_id) for run_id in (first, second)] == ["stopped", "finished"]
    assert not queue.is_stopping(first)


def test_stopped_while_waiting_a_run_leaves_the_queue_at_once(queue, training, workers, submit) -> None:
    first, second, third = submit(), submit(), submit()
    training.wait_until_begun(first)
    queue.request_stop(second)
    assert states(queue, first, second, third) == [("running", 0), ("stopped", 0), ("queued", 1)]
    assert "before it began" in said(queue.snapshot(second).message)
    training.let_end(first, third)
    workers.join()
    assert training.order == [first, third]
    assert queue.status(second) == "stopped"


def test_stop_of_a_run_that_is_over_or_unknown_changes_nothing(queue, training, workers, submit) -> None:
    run_id = submit()
    training.let_end(run_id)
    workers.join()
    queue.request_stop(run_id)
    queue.request_stop("20200101-000000-0123456789abcdef")
    assert queue.status(run_id) == "finished"


def test_run_that_ends_without_an_event_does_not_stop_the_next(queue, training, workers, submit) -> None:
    first, second = submit(), submit()
    training.fails.add(first)
    training.let_end(first, second)
    workers.join()
    assert training.order == [first, second]
    assert [queue.status(run_id) for run_id in (first, second)] == ["interrupted", "finished"]


def test_snapshot_follows_the_run(queue, training, workers, submit) -> None:
    first, second = submit(), submit()
    training.wait_until_begun(first)
    assert queue.snapshot(first).started_at == 100.0
    assert queue.snapshot(second).started_at is None
    training.let_end(first, second)
    workers.join()
    assert queue.snapshot(first).epochs == (EPOCH,)
    assert queue.snapshot(first).outcome == "finished"


def test_another_queue_reads_the_same_from_disk(queue, training, workers, submit, workspace) -> None:
    run_id = submit()
    training.let_end(run_id)
    workers.join()
    another = Trainings(workspace, training)
    assert another.snapshot(run_id) == queue.snapshot(run_id)
    assert another.status(run_id) == "finished"


def test_another_queue_follows_a_run_it_does_not_train(queue, training, workers, submit, workspace) -> None:
    run_id = submit()
    training.wait_until_begun(run_id)
    another = Trainings(workspace, training)
    assert another.snapshot(run_id) == queue.snapshot(run_id)
    assert another.status(run_id) == "running"
    training.let_end(run_id)
    workers.join()
    assert another.snapshot(run_id) == queue.snapshot(run_id)
    assert another.status(run_id) == "finished"


def test_ended_run_is_read_from_disk_once(queue, training, workers, submit, monkeypatch) -> None:
    run_id = submit()
    training.let_end(run_id)
    workers.join()
    for path in queue.workspace.run_dir(run_id).iterdir():
        os.utime(path, (1, 1))  # a file that was just written is read each time
    before = queue.snapshot(run_id), queue.status(run_id)
    monkeypatch.setattr("transfer_core.facts_file.read_json", no_more_reading)
    monkeypatch.setattr("transfer_core.runs.event_log.read_events", no_more_reading)
    assert (queue.snapshot(run_id), queue.status(run_id)) == before
    assert queue.status(run_id) == "finished"


def test_run_of_a_process_that_was_killed_is_interrupted(workspace, color_dataset, training, workers) -> None:
    run = TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random"))
    log = EventLog(run.folder / "events.jsonl")
    for event in (STARTED, EPOCH):
        log.append(event)
    with (run.folder / "events.jsonl").open("a") as file:
        file.write('{"event": "RunEnded", "time": 10')
    queue = Trainings(workspace, training)
    assert queue.status(run.id) == "interrupted"
    assert queue.snapshot(run.id) == log.snapshot


@pytest.mark.parametrize("was_looked_at", [True, False])
def test_run_whose_folder_was_deleted_by_hand_is_not_found(
    was_looked_at, queue, training, workers, submit, workspace
) -> None:
    run_id = submit()
    training.let_end(run_id)
    workers.join()
    if was_looked_at:
        assert queue.status(run_id) == "finished"
    shutil.rmtree(workspace.run_dir(run_id))
    for look in (queue.snapshot, queue.status):
        with pytest.raises(NotFoundError):
            look(run_id)


def test_worker_that_cannot_start_is_an_error_and_blocks_nothing(
    workspace, training, workers, color_dataset
) -> None:
    no_threads = [True]

    def executor(work: Callable[[], None]) -> None:
        if no_threads:
            raise RuntimeError("can't start new thread")
        workers(work)

    queue = Trainings(workspace, training, WorkQueue(executor))
    config = TrainingConfig(backbone="tiny_random")
    with pytest.raises(TrainingError, match=r"could not start.*can't start new thread.*Close other programs"):
        queue.submit(color_dataset, config)
    assert not queue.running_runs
    (failed,) = workspace.run_ids()
    assert queue.status(failed) == "interrupted"
    assert "could not start" in said(queue.snapshot(failed).message)
    no_threads.clear()
    second = queue.submit(color_dataset, config)
    training.let_end(second)
    workers.join()
    assert training.order == [second]
    assert queue.status(second) == "finished"


def test_run_submitted_while_the_worker_fails_to_start_does_not_wait_for_ever(
    workspace, training, color_dataset
) -> None:
    config = TrainingConfig(backbone="tiny_random")
    meanwhile: list[str] = []

    def executor(work: Callable[[], None]) -> None:
        meanwhile.append(queue.submit(color_dataset, config))
        raise RuntimeError("can't start new thread")

    queue = Trainings(workspace, training, WorkQueue(executor))
    with pytest.raises(TrainingError):
        queue.submit(color_dataset, config)
    assert queue.status(meanwhile[0]) == "interrupted"


def test_unknown_run(queue) -> None:
    for look in (queue.snapshot, queue.status):
        with pytest.raises(NotFoundError):
            look("20200101-000000-0123456789abcdef")


def test_of_a_run_that_cannot_be_queued_nothing_is_left(queue, workspace, submit, monkeypatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise WorkspaceError("The disk is full.")

    monkeypatch.setattr("transfer_core.work.trainings.LiveRun", refuse)
    with pytest.raises(WorkspaceError, match="The disk is full"):
        submit()
    assert list(workspace.runs_dir.iterdir()) == []


def test_dataset_that_cannot_be_learned_from_is_refused_before_anything_is_on_disk(
    queue, color_dataset, workspace
) -> None:
    images = [image for image in color_dataset.images if image.class_name == "red"]
    with pytest.raises(IngestError, match="only one class"):
        queue.submit(color_dataset.with_images(images, ()), TrainingConfig())
    assert workspace.run_ids() == []
    assert not queue.running_runs


def test_real_training_in_the_background(session_workspace, color_dataset, tiny_config) -> None:
    workers = Workers()
    queue = Trainings(session_workspace, queue=WorkQueue(workers))
    finished = queue.submit(color_dataset, tiny_config.with_changes(epochs=1))
    unknown = queue.submit(color_dataset, tiny_config.with_changes(backbone="resnet9000"))
    last = queue.submit(color_dataset, tiny_config.with_changes(epochs=2))
    workers.join()
    assert [queue.status(run_id) for run_id in (finished, unknown, last)] == [
        "finished",
        "failed",
        "finished",
    ]
    assert "no backbone called resnet9000" in said(queue.snapshot(unknown).message)
    run = TrainingRun.load(session_workspace, last)
    assert run.has_model
    assert len(queue.snapshot(last).epochs) == 2
    assert run.evaluation().accuracy == pytest.approx(queue.snapshot(last).best.val_accuracy)


def obedient(
    workspace: Workspace,
    run: TrainingRun,
    emit: Callable[[TrainingEvent], None],
    should_stop: Callable[[], bool],
) -> None:
    """A training that never ends by itself and polls after each batch."""
    emit(STARTED)
    while not should_stop():
        pass
    emit(RunEnded(102.0, "stopped"))


@pytest.fixture
def obedient_queue(workspace, workers) -> Trainings:
    return Trainings(workspace, obedient, WorkQueue(workers))


def wait_for(queue: Trainings, run_id: str, *statuses: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while queue.status(run_id) not in statuses:
        assert time.monotonic() < deadline, queue.status(run_id)
        time.sleep(0.02)


def test_paused_run_waits_and_goes_on(obedient_queue, workers, color_dataset) -> None:
    queue = obedient_queue
    first = queue.submit(color_dataset, TrainingConfig())
    second = queue.submit(color_dataset, TrainingConfig())
    queue.pause(first)
    assert queue.is_to_pause(first)
    wait_for(queue, first, "paused")
    assert queue.status(second) == "queued"
    assert Trainings(queue.workspace).status(first) == "paused"
    queue.go_on(first)
    wait_for(queue, first, "running")
    assert not queue.is_to_pause(first)
    for run_id in (first, second):
        queue.request_stop(run_id)
    workers.join()
    assert queue.snapshot(first).outcome == "stopped"


def test_stop_answers_within_two_seconds(obedient_queue, workers, color_dataset) -> None:
    queue = obedient_queue
    run_id = queue.submit(color_dataset, TrainingConfig())
    wait_for(queue, run_id, "running")
    requested_at = time.monotonic()
    queue.request_stop(run_id)
    workers.join()
    assert time.monotonic() - requested_at < 2
    assert queue.status(run_id) == "stopped"


def test_pause_and_go_on_of_a_run_that_is_over_or_unknown_change_nothing(
    queue, training, workers, submit
) -> None:
    run_id = submit()
    training.let_end(run_id)
    workers.join()
    for act in (queue.pause, queue.go_on):
        act(run_id)
        act("20200101-000000-0123456789abcdef")
    assert queue.status(run_id) == "finished"


def test_run_of_another_queue_is_stopped_through_its_folder(obedient_queue, workers, color_dataset) -> None:
    run_id = obedient_queue.submit(color_dataset, TrainingConfig())
    wait_for(obedient_queue, run_id, "running")
    another = Trainings(obedient_queue.workspace)
    wait_for(another, run_id, "running")
    assert not another.is_here(run_id)
    another.request_stop(run_id)
    workers.join()
    assert another.status(run_id) == "stopped"


def interrupted_run(workspace: Workspace, dataset: ImageDataset) -> TrainingRun:
    shutil.copytree(dataset.folder, workspace.dataset_dir(dataset.id))
    run = TrainingRun.create(workspace, dataset, TrainingConfig(backbone="tiny_random"))
    log = EventLog(run.folder / "events.jsonl")
    for event in (STARTED, EPOCH):
        log.append(event)
    return run


def test_interrupted_run_is_resumed_in_its_folder(queue, training, workers, submit, color_dataset) -> None:
    run = interrupted_run(queue.workspace, color_dataset)
    assert queue.status(run.id) == "interrupted"
    first = submit()
    training.wait_until_begun(first)
    queue.resume(run.id)
    assert states(queue, run.id) == [("queued", 1)]
    assert queue.snapshot(run.id).epochs == (EPOCH,)
    training.let_end(first, run.id)
    workers.join()
    assert training.order == [first, run.id]
    assert queue.status(run.id) == "finished"
    assert set(queue.workspace.run_ids()) == {first, run.id}


def test_resumed_run_that_leaves_the_queue_can_still_go_on(
    queue, training, workers, submit, color_dataset
) -> None:
    run = interrupted_run(queue.workspace, color_dataset)
    first = submit()
    queue.resume(run.id)
    queue.request_stop(run.id)
    assert queue.status(run.id) == "interrupted"
    training.let_end(first)
    workers.join()
    assert training.order == [first]


def test_only_interrupted_runs_are_resumed(queue, training, workers, submit) -> None:
    run_id = submit()
    with pytest.raises(TrainingError, match="Only an interrupted training can continue"):
        queue.resume(run_id)
    training.let_end(run_id)
    workers.join()
    with pytest.raises(TrainingError, match="Only an interrupted training can continue"):
        queue.resume(run_id)
    assert training.order == [run_id]


def test_run_whose_photos_have_changed_is_not_resumed(queue, color_dataset) -> None:
    run = interrupted_run(queue.workspace, color_dataset)
    facts = json.loads((run.folder / "config.json").read_text())
    facts["dataset"]["version"] += 1
    (run.folder / "config.json").write_text(json.dumps(facts))
    (run.folder / "checkpoints").mkdir()
    (run.folder / "checkpoints" / "state.json").write_text("{}")
    with pytest.raises(TrainingError, match="The photos have changed since this training began"):
        queue.resume(run.id)
    assert queue.status(run.id) == "interrupted"


def no_more_reading(*_arguments: Any) -> TrainingRun:
    raise AssertionError("it was read again")
