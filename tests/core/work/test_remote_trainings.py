"""Trainings on several computers at once: order, room, places, times, and what may go wrong on the way."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator

import pytest

from transfer_core.backbones.registry import get_backbone
from transfer_core.classroom.people import new_id
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import TrainingError, WorkspaceError
from transfer_core.events import PlaceLost, RunEnded, RunPlaced, RunResumed, RunStarted, TrainingEvent
from transfer_core.language import said
from transfer_core.runs.sweep import load_sweep
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.training.stages import estimated_seconds, remember_run
from transfer_core.work.cluster.nodes import Node
from transfer_core.work.executor import RemoteExecutor
from transfer_core.work.queue import WorkQueue
from transfer_core.work.service import Service
from transfer_core.work.stored_queue import read_queue
from transfer_core.work.sweep_queue import continue_sweep, start_sweep, stop_sweep
from transfer_core.work.task import Task
from transfer_core.work.trainings import Trainings, TrainingTask
from transfer_core.workspace import Workspace

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
CONFIG = TrainingConfig(backbone="tiny_random")
LARGE = TrainingConfig(backbone="tiny_random", batch_size=64)


class Cluster:
    """An executor with room for some runs, of which each waits until the test ends it.

    Args:
        size: Places. A run with a batch size of 64 takes two, any other one.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.nodes: list[Node] = []
        self.taken: dict[str, int] = {}
        self.prepared: set[str] = set()
        self.order: list[str] = []
        self.refuses: set[str] = set()
        self.problem = ""
        self.is_on_this_computer = False
        self.is_connected = self.is_closed = False
        self._emits: dict[str, Callable[[TrainingEvent], None]] = {}
        self._begun = threading.Semaphore(0)
        self._may_end: dict[str, threading.Event] = {}
        self._on_room: list[Callable[[], None]] = []

    def __call__(
        self,
        workspace: Workspace,
        run: TrainingRun,
        emit: Callable[[TrainingEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        assert run.id in self.taken
        self._emits[run.id] = emit
        emit(RunPlaced(99.0, "lab-3", "10.0.0.3", "Xeon", 1))
        emit(RunStarted(100.0, 18, 6, 1))
        self.order.append(run.id)
        self._begun.release()
        while not should_stop() and not self._end_of(run.id).wait(0.001):
            pass
        emit(RunEnded(110.0, "stopped" if should_stop() else "finished"))
        self.release(workspace, run)
        self.say_there_is_room()

    def connect(self) -> None:
        self.is_connected = True

    def prepare(self, workspace: Workspace, run: TrainingRun) -> None:
        if run.id in self.refuses:
            raise TrainingError("No computer of the cluster has enough memory.")
        self.prepared.add(run.id)

    def reserve(self, workspace: Workspace, run: TrainingRun) -> bool:
        assert run.id in self.prepared
        if run.id in self.refuses:
            raise TrainingError("No computer of the cluster has enough memory.")
        need = 2 if run.config.batch_size == 64 else 1
        if sum(self.taken.values()) + need > self.size:
            return False
        self.taken[run.id] = need
        return True

    def release(self, workspace: Workspace, run: TrainingRun) -> None:
        self.prepared.discard(run.id)
        self.taken.pop(run.id, None)

    def on_room(self, callback: Callable[[], None]) -> None:
        self._on_room.append(callback)

    def close(self) -> None:
        self.is_closed = True

    def resize(self, size: int) -> None:
        self.size = size
        self.say_there_is_room()

    def say_there_is_room(self) -> None:
        for callback in self._on_room:
            callback()

    def wait_for(self, count: int = 1) -> None:
        for _number in range(count):
            assert self._begun.acquire(timeout=PATIENCE)

    def emit(self, run_id: str, *events: TrainingEvent) -> None:
        for event in events:
            self._emits[run_id](event)

    def end(self, *run_ids: str) -> None:
        for run_id in run_ids:
            self._end_of(run_id).set()

    def _end_of(self, run_id: str) -> threading.Event:
        return self._may_end.setdefault(run_id, threading.Event())


@pytest.fixture
def cluster(monkeypatch) -> Iterator[Cluster]:
    cluster = Cluster(2)
    monkeypatch.setattr("transfer_core.work.service.chosen_executor", lambda _default: cluster)
    yield cluster
    cluster.end(*cluster.order)


@pytest.fixture
def server(tmp_path) -> Workspace:
    return Workspace(tmp_path / "server")


@pytest.fixture
def service(server, cluster) -> Service:
    return Service(server)


@pytest.fixture
def photos(color_dataset) -> Callable[[Workspace], ImageDataset]:
    """Return the photos of a person, with which they train."""

    def copied(workspace: Workspace) -> ImageDataset:
        if not workspace.dataset_dir(color_dataset.id).exists():
            shutil.copytree(color_dataset.folder, workspace.dataset_dir(color_dataset.id))
        return ImageDataset.load(workspace, color_dataset.id)

    return copied


@pytest.fixture
def submit(service, photos) -> Callable[..., str]:
    def submitted(workspace: Workspace, config: TrainingConfig = CONFIG) -> str:
        return service.trainings(workspace).submit(photos(workspace), config)

    return submitted


@pytest.fixture
def person(server) -> Callable[[], Workspace]:
    return lambda: server.person(new_id())


def states(trainings: Trainings, run_ids: list[str]) -> list[tuple[str, int]]:
    return [(trainings.status(run_id), trainings.place(run_id)) for run_id in run_ids]


def task_of(service: Service, run_id: str) -> TrainingTask:
    (task,) = [task for task in service.queue.in_order("training") if task.key == run_id]
    return task


def test_the_stand_in_is_an_executor_of_a_cluster(cluster) -> None:
    assert isinstance(cluster, RemoteExecutor)


def test_as_many_run_at_once_as_there_is_room_for(server, service, cluster, submit) -> None:
    ids = [submit(server) for _number in range(5)]
    cluster.wait_for(2)
    trainings = service.trainings(server)
    assert states(trainings, ids) == [
        ("running", 0),
        ("running", 0),
        ("queued", 1),
        ("queued", 2),
        ("queued", 3),
    ]
    assert [run.id for run in trainings.running_runs] == ids[:2]
    assert trainings.waiting.id == ids[2]
    ended = task_of(service, ids[1])
    cluster.end(ids[1])
    assert ended.wait(PATIENCE)
    cluster.wait_for()
    assert [run.id for run in trainings.running_runs] == [ids[0], ids[2]]
    cluster.end(*ids)
    cluster.wait_for(2)
    assert set(cluster.order[:2]) == set(ids[:2])
    assert cluster.order[2] == ids[2]
    assert set(cluster.order[3:]) == set(ids[3:])


def test_a_computer_that_joins_is_used_at_once(server, service, cluster, submit) -> None:
    cluster.size = 0
    ids = [submit(server) for _number in range(3)]
    trainings = service.trainings(server)
    assert states(trainings, ids) == [("queued", 0), ("queued", 1), ("queued", 2)]
    assert trainings.waiting_seconds(ids[0]) is None
    cluster.resize(2)
    cluster.wait_for(2)
    assert states(trainings, ids) == [("running", 0), ("running", 0), ("queued", 1)]


def test_a_large_one_is_not_overtaken_by_small_ones_behind_it(server, service, cluster, submit) -> None:
    first, large = submit(server), submit(server, LARGE)
    small = submit(server)
    cluster.wait_for()
    trainings = service.trainings(server)
    assert states(trainings, [first, large, small]) == [("running", 0), ("queued", 1), ("queued", 2)]
    cluster.end(first)
    cluster.wait_for()
    assert cluster.order == [first, large]
    assert trainings.status(small) == "queued"


@pytest.mark.parametrize("way", ["stopped", "moved"])
def test_small_ones_begin_when_a_large_one_before_them_leaves(
    server, service, cluster, submit, way: str
) -> None:
    submit(server)
    large, small = submit(server, LARGE), submit(server)
    cluster.wait_for()
    if way == "stopped":
        service.trainings(server).request_stop(large)
    else:
        service.queue.move_first(task_of(service, small))
    cluster.wait_for()
    assert cluster.order[1:] == [small]


def test_the_queue_goes_round_by_person(service, cluster, submit, person) -> None:
    anna, ben, cleo = person(), person(), person()
    of_anna = [submit(anna) for _number in range(4)]
    of_ben, of_cleo = submit(ben), submit(cleo)
    cluster.wait_for(2)
    order = [task.key for task in service.queue.in_order("training")]
    # Anna had two computers for herself while nobody else was there.
    assert order == [*of_anna[:2], of_ben, of_cleo, *of_anna[2:]]
    cluster.end(of_anna[0])
    cluster.wait_for()
    assert cluster.order[2:] == [of_ben]


def test_work_of_the_server_goes_on_beside_remote_trainings(server, service, cluster, submit) -> None:
    ids = [submit(server) for _number in range(3)]
    cluster.wait_for(2)
    audition = service.queue.start(Task("audition", 1, lambda _task: "done"))
    assert audition.wait(PATIENCE)
    assert audition.result == "done"
    assert service.trainings(server).status(ids[2]) == "queued"


def test_a_held_queue_begins_no_remote_training(server, service, cluster, submit) -> None:
    with service.queue.held():
        run_id = submit(server)
        cluster.say_there_is_room()
        assert service.trainings(server).status(run_id) == "queued"
    cluster.wait_for()
    assert cluster.order == [run_id]


def test_a_waiting_one_that_is_stopped_is_forgotten_by_the_cluster(server, service, cluster, submit) -> None:
    ids = [submit(server) for _number in range(3)]
    cluster.wait_for(2)
    service.trainings(server).request_stop(ids[2])
    assert service.trainings(server).status(ids[2]) == "stopped"
    assert cluster.prepared == set(ids[:2])


def test_room_is_given_back_where_no_thread_can_be_started(server, cluster, photos) -> None:
    def no_thread(_work: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    trainings = Trainings(server, cluster, WorkQueue(no_thread))
    with pytest.raises(TrainingError, match=r"could not start.*can't start new thread"):
        trainings.submit(photos(server), CONFIG)
    assert (cluster.taken, cluster.prepared) == ({}, set())


def test_one_of_several_without_a_thread_ends_and_the_others_run(server, cluster, photos) -> None:
    threads: list[threading.Thread] = []

    def scarce(work: Callable[[], None]) -> None:
        if len(threads) == 1:
            threads.append(threading.current_thread())
            raise RuntimeError("can't start new thread")
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()

    cluster.size = 0
    queue = WorkQueue(scarce)
    cluster.on_room(queue.begin_waiting)
    trainings = Trainings(server, cluster, queue)
    ids = [trainings.submit(photos(server), CONFIG) for _number in range(3)]
    cluster.resize(3)
    cluster.wait_for(2)
    assert [trainings.status(run_id) for run_id in ids] == ["running", "interrupted", "running"]
    assert set(cluster.taken) == {ids[0], ids[2]}


def test_what_the_cluster_refuses_ends_with_its_reason_and_the_next_begins(
    server, service, cluster, submit
) -> None:
    cluster.size = 0
    refused, following = submit(server), submit(server)
    cluster.refuses.add(refused)
    cluster.resize(1)
    cluster.wait_for()
    assert cluster.order == [following]
    trainings = service.trainings(server)
    assert trainings.status(refused) == "interrupted"
    assert said(trainings.snapshot(refused).message) == "No computer of the cluster has enough memory."
    with pytest.raises(TrainingError, match="enough memory"):
        trainings.resume(refused)
    # Its lock was released, so that it can be tried again.
    cluster.refuses.clear()
    trainings.resume(refused)
    assert trainings.status(refused) == "queued"


def test_an_error_of_the_disk_keeps_a_stopped_run_in_the_queue(
    server, service, cluster, submit, monkeypatch
) -> None:
    ids = [submit(server) for _number in range(3)]
    cluster.wait_for(2)

    def full(_event: TrainingEvent) -> None:
        raise WorkspaceError("The disk is full.")

    task = task_of(service, ids[2])
    with monkeypatch.context() as patched:
        patched.setattr(task.live.log, "append", full)
        with pytest.raises(WorkspaceError):
            task.request_stop()
    assert service.trainings(server).status(ids[2]) == "queued"
    assert ids[2] in cluster.prepared


class TestTimes:
    """Runs are estimated to take 50 seconds; those that run began in 1970 and are over at once."""

    @pytest.fixture(autouse=True)
    def rates(self, server, color_dataset) -> None:
        planned = estimated_seconds(CONFIG, color_dataset, get_backbone(CONFIG.backbone), server.cache_dir)
        remember_run(server.cache_dir, CONFIG.backbone, planned, 50.0)

    @pytest.fixture
    def seconds_left(self, monkeypatch) -> dict[str, float | None]:
        left: dict[str, float | None] = {}
        monkeypatch.setattr(TrainingTask, "seconds_left", lambda task: left.get(task.key, 50.0))
        return left

    def waiting_seconds(self, service: Service, workspace: Workspace, ids: list[str]) -> list[float | None]:
        return [service.trainings(workspace).waiting_seconds(run_id) for run_id in ids]

    def test_each_that_waits_takes_the_place_that_is_free_first(
        self, server, service, cluster, submit, seconds_left
    ) -> None:
        ids = [submit(server) for _number in range(6)]
        cluster.wait_for(2)
        seconds_left |= {ids[0]: 10.0, ids[1]: 35.0}
        assert self.waiting_seconds(service, server, ids) == [0.0, 0.0, 10.0, 35.0, 60.0, 85.0]
        seconds_left[ids[2]] = 5.0
        assert self.waiting_seconds(service, server, ids) == [0.0, 0.0, 10.0, 15.0, 35.0, 65.0]

    def test_they_are_right_at_once_after_a_computer_has_joined(
        self, server, service, cluster, submit, seconds_left
    ) -> None:
        ids = [submit(server) for _number in range(5)]
        cluster.wait_for(2)
        cluster.resize(3)
        cluster.wait_for()
        assert self.waiting_seconds(service, server, ids) == [0.0, 0.0, 0.0, 50.0, 50.0]

    def test_a_run_of_unknown_length_promises_no_place(
        self, server, service, cluster, submit, seconds_left
    ) -> None:
        ids = [submit(server) for _number in range(4)]
        cluster.wait_for(2)
        seconds_left[ids[0]] = None
        assert self.waiting_seconds(service, server, ids) == [0.0, 0.0, 50.0, 100.0]
        seconds_left[ids[1]] = None
        assert self.waiting_seconds(service, server, ids)[2:] == [None, None]

    def test_a_run_that_lost_its_computer_takes_the_next_free_place(
        self, server, service, cluster, submit, seconds_left
    ) -> None:
        ids = [submit(server) for _number in range(4)]
        cluster.wait_for(2)
        seconds_left |= {ids[0]: 20.0, ids[1]: 30.0}
        cluster.emit(ids[0], PlaceLost(103.0, "node"))
        assert self.waiting_seconds(service, server, ids)[2:] == [50.0, 100.0]
        cluster.emit(ids[0], RunPlaced(105.0, "lab-4", "10.0.0.4", "Xeon", 1), RunResumed(105.0, 0))
        assert self.waiting_seconds(service, server, ids)[2:] == [20.0, 30.0]

    def test_a_run_on_the_cluster_is_remembered_for_later_estimates(
        self, server, service, cluster, submit
    ) -> None:
        cluster.size = 1
        ids = [submit(server) for _number in range(3)]
        cluster.wait_for()
        task = task_of(service, ids[0])
        cluster.end(ids[0])
        assert task.wait(PATIENCE)
        cluster.wait_for()
        # It took 10 seconds.
        of_one = (50.0 * 10.0) ** 0.5
        assert service.trainings(server).waiting_seconds(ids[2]) == pytest.approx(0.0)
        cluster.emit(ids[1], PlaceLost(103.0, "node"))
        assert task_of(service, ids[2]).seconds_left() == pytest.approx(of_one)


def test_computers_are_listed_by_name_with_what_they_train(server, service, cluster, submit) -> None:
    cluster.nodes += [
        Node("b", "lab-4", "10.0.0.4", 8.0),
        Node("a", "lab-3", "10.0.0.3", 4.0),
        Node("c", "lab-5", "10.0.0.5", 0.0, problem="Python 3.9 is too old."),
        Node("head", "server", "10.0.0.1", 0.0),
    ]
    ids = [submit(server) for _number in range(2)]
    cluster.wait_for(2)
    assert counts_of(service) == [("lab-3", 2), ("lab-4", 0), ("lab-5", 0)]
    cluster.emit(ids[0], PlaceLost(103.0, "node"))
    assert counts_of(service)[0] == ("lab-3", 1)
    cluster.emit(ids[0], RunPlaced(105.0, "lab-4", "10.0.0.4", "Xeon", 1))
    assert counts_of(service)[:2] == [("lab-3", 1), ("lab-4", 1)]


def test_nodes_on_one_computer_are_listed_together(server, service, cluster, submit) -> None:
    cluster.nodes += [
        Node("a", "lab-3", "10.0.0.3", 1.0),
        Node("b", "lab-3", "10.0.0.3", 1.0, num_gpus=1.0),
    ]
    submit(server)
    cluster.wait_for()
    (computer,) = service.computers() or []
    assert (computer.node.num_cpus, computer.node.num_gpus, computer.num_trainings) == (2.0, 1.0, 1)


def test_without_a_cluster_there_are_no_computers(server, monkeypatch) -> None:
    monkeypatch.setattr("transfer_core.work.service.chosen_executor", lambda _default: lambda *_all: None)
    assert Service(server).computers() is None


def counts_of(service: Service) -> list[tuple[str, int]]:
    return [(computer.node.name, computer.num_trainings) for computer in service.computers() or []]


class TestPauses:
    def test_others_take_the_other_places_meanwhile(self, service, cluster, submit, person) -> None:
        anna, ben = person(), person()
        of_anna, of_ben = submit(anna), [submit(ben), submit(ben)]
        cluster.wait_for(2)
        service.trainings(anna).pause(of_anna)
        cluster.end(of_ben[0])
        cluster.wait_for()
        assert cluster.order[-1] == of_ben[1]
        assert of_anna in cluster.taken

    def test_a_pause_is_limited_only_while_another_person_waits_for_a_computer(
        self, service, cluster, submit, person
    ) -> None:
        anna, ben = person(), person()
        of_anna = submit(anna)
        service.queue.start(Task("audition", 1, lambda _task: 1, owner=ben.owner))
        assert service.trainings(anna).seconds_of_pause_left(of_anna) is None
        submit(ben), submit(ben)
        assert service.trainings(anna).seconds_of_pause_left(of_anna) == 180.0


class TestRestart:
    def test_all_twenty_trainings_go_on_and_none_is_blamed(self, server, service, cluster, submit) -> None:
        cluster.size = 20
        ids = [submit(server) for _number in range(22)]
        cluster.wait_for(20)
        assert [training.run_id for training in read_queue(server)] == ids
        assert not any(training.is_running for training in read_queue(server))
        die(service)
        for _number in range(3):
            # Dying again and again is no fault of a run that another computer trains.
            cluster.taken.clear()
            again = Service(server)
            again.restore()
            cluster.wait_for(20)
            assert [again.trainings(server).status(run_id) for run_id in ids[:20]] == ["running"] * 20
            assert [again.trainings(server).status(run_id) for run_id in ids[20:]] == ["queued"] * 2
            assert [task.key for task in again.queue.in_order("training")] == ids
            die(again)

    def test_one_that_cannot_go_on_keeps_no_other_from_the_queue(
        self, server, service, cluster, submit
    ) -> None:
        ids = [submit(server) for _number in range(2)]
        cluster.wait_for(2)
        die(service)
        cluster.taken.clear()
        cluster.refuses.add(ids[0])
        again = Service(server)
        again.restore()
        cluster.wait_for()
        assert again.trainings(server).status(ids[1]) == "running"
        assert "enough memory" in said(again.trainings(server).snapshot(ids[0]).message)

    def test_a_server_connects_to_the_cluster_before_the_first_training(self, service, cluster) -> None:
        assert not cluster.is_connected
        service.restore()
        assert cluster.is_connected

    def test_a_server_that_closes_stores_its_queue_and_closes_the_cluster(
        self, server, service, cluster, submit
    ) -> None:
        ids = [submit(server) for _number in range(3)]
        service.close()
        assert cluster.is_closed
        assert [training.run_id for training in read_queue(server)] == ids


def die(service: Service) -> None:
    """Leave a service as its process leaves it when it is killed: its locks are released, and nothing is written."""
    service._is_closed = True
    for task in service.queue.in_order("training"):
        assert isinstance(task, TrainingTask)
        task.live.release()
    service.queue._lanes["remote"].waiting.clear()


def test_a_sweep_spreads_and_none_of_its_runs_begins_once_it_is_stopped(
    server, service, cluster, photos
) -> None:
    trainings, dataset = service.trainings(server), photos(server)
    plan = SweepPlan.of(dataset, CONFIG, [0, 1], 2)
    start_sweep(trainings, dataset, CONFIG, plan)
    cluster.wait_for(2)
    sweep = load_sweep(server, plan.id)
    begun = [service.queue.find("training", run_id) for run_id in cluster.order]
    stop_sweep(trainings, sweep)
    assert all(task.wait(PATIENCE) for task in begun)
    assert len(cluster.order) == 2
    assert [trainings.status(run.id) for run in sweep.runs] == ["stopped"] * 4
    cluster.order.clear()
    continue_sweep(trainings, sweep)
    cluster.wait_for(2)
    assert len(trainings.running_runs) == 2
