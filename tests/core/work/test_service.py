"""The work of a server: people in one queue, and trainings that go on after the server has died."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.conftest import ROOT
from transfer_core.backbones.registry import get_backbone
from transfer_core.classroom.facts import Classroom
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.quota import PersonLimits
from transfer_core.errors import NotFoundError, TrainingError
from transfer_core.events import RunEnded, RunStarted, TrainingEvent
from transfer_core.language import said
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash
from transfer_core.training.stages import estimated_seconds, remember_run
from transfer_core.work.service import Service
from transfer_core.work.sweep_queue import start_sweep
from transfer_core.work.task import Task
from transfer_core.work.trainings import TrainingTask
from transfer_core.workspace import Workspace, new_id

# A server with a training that never ends, until it is killed.
SERVER = """
import sys
from pathlib import Path
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import RunStarted
from transfer_core.work import service
from transfer_core.workspace import Workspace

# In one piece: two threads write.
def say(line):
    sys.stdout.write(f"{line}\\n")
    sys.stdout.flush()

def execute(workspace, run, emit, should_stop):
    emit(RunStarted(100.0, 18, 6, 1))
    say("training")
    sys.stdin.read()

service.chosen_executor = lambda _default: execute
server = Workspace(Path(sys.argv[1]))
served = service.Service(server)
for person_id in sys.argv[2:]:
    trainings = served.trainings(server.person(person_id))
    (dataset_id,) = trainings.workspace.dataset_ids()
    dataset = ImageDataset.load(trainings.workspace, dataset_id)
    say(trainings.submit(dataset, TrainingConfig(backbone="tiny_random")))
sys.stdin.read()
"""

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
CONFIG = TrainingConfig(backbone="tiny_random")


class Trainer:
    """Stands in for the training: each run waits until the test ends it."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self._begun = threading.Semaphore(0)
        self._may_end = threading.Semaphore(0)

    def __call__(
        self,
        workspace: Workspace,
        run: object,
        emit: Callable[[TrainingEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        emit(RunStarted(100.0, 18, 6, 1))
        self.order.append(run.id)
        self._begun.release()
        assert self._may_end.acquire(timeout=PATIENCE)
        emit(RunEnded(102.0, "stopped" if should_stop() else "finished"))

    def wait_for_one(self) -> None:
        assert self._begun.acquire(timeout=PATIENCE)

    def end(self, count: int = 1) -> None:
        self._may_end.release(count)


@pytest.fixture
def trainer(monkeypatch) -> Iterator[Trainer]:
    trainer = Trainer()
    monkeypatch.setattr("transfer_core.work.service.chosen_executor", lambda _default: trainer)
    yield trainer
    trainer.end(100)


@pytest.fixture
def server(tmp_path) -> Workspace:
    return Workspace(tmp_path / "server")


@pytest.fixture
def photos(server, color_dataset) -> Callable[[Workspace], ImageDataset]:
    """Return the photos of a person, with which they train."""

    def copied(workspace: Workspace) -> ImageDataset:
        if not workspace.dataset_dir(color_dataset.id).exists():
            shutil.copytree(color_dataset.folder, workspace.dataset_dir(color_dataset.id))
        return ImageDataset.load(workspace, color_dataset.id)

    return copied


@pytest.fixture
def submit(photos) -> Callable[[Service, Workspace], str]:
    def submitted(service: Service, workspace: Workspace) -> str:
        return service.trainings(workspace).submit(photos(workspace), CONFIG)

    return submitted


def die(service: Service) -> None:
    """Leave a service as its process leaves it when it is killed: its locks are released, and nothing is written."""
    service._is_closed = True
    for task in service.queue.in_order("training"):
        assert isinstance(task, TrainingTask)
        task.live.release()
    service.queue._lanes["models"].waiting.clear()


def order_of(service: Service) -> list[str]:
    return [task.key for task in service.queue.in_order("training")]


def task_of(service: Service, run_id: str) -> TrainingTask:
    (task,) = [task for task in service.queue.in_order("training") if task.key == run_id]
    return task


def test_restarted_server_goes_on_with_all_trainings_in_their_order(server, trainer, submit) -> None:
    before = Service(server)
    anna, ben = server.person(new_id()), server.person(new_id())
    ids = [submit(before, person) for person in (anna, anna, anna, ben, server)]
    trainer.wait_for_one()
    before.queue.move_first(task_of(before, ids[2]))
    order = order_of(before)
    assert order == [ids[0], ids[2], ids[3], ids[4], ids[1]]
    die(before)
    assert before.trainings(anna).status(ids[0]) == "running"
    after = Service(server)
    assert after.trainings(anna).status(ids[1]) == "interrupted"
    after.restore()
    assert order_of(after) == order
    assert [after.trainings(anna).status(run_id) for run_id in ids[:3]] == ["running", "queued", "queued"]
    assert after.trainings(ben).place(ids[3]) == 2
    trainer.wait_for_one()
    trainer.end(6)
    for _number in range(4):
        trainer.wait_for_one()
    assert trainer.order[1:] == order


def test_trainings_of_a_killed_process_go_on_in_its_order(server, trainer, photos) -> None:
    anna, ben = server.person(new_id()), server.person(new_id())
    for person in (anna, ben):
        photos(person)
    owners = [anna.owner, anna.owner, anna.owner, ben.owner, ben.owner]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(server.root), *owners],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _number in range(6)]
    process.kill()
    process.communicate()
    a1, a2, a3, b1, b2 = (line for line in lines if line != "training")
    after = Service(server)
    after.restore()
    assert order_of(after) == [a1, b1, a2, b2, a3]
    assert task_of(after, a1).stored.num_deaths == 1
    assert task_of(after, b1).stored.num_deaths == 0


def test_order_on_disk_follows_every_change(server, trainer, submit) -> None:
    service = Service(server)
    first, second = submit(service, server), submit(service, server)
    assert stored_in(server) == [first, second]
    service.trainings(server).request_stop(second)
    assert stored_in(server) == [first]
    task = task_of(service, first)
    trainer.end()
    assert task.wait(PATIENCE)
    while stored_in(server):
        pass


def stored_in(server: Workspace) -> list[str]:
    facts = json.loads((server.root / "queue.json").read_text())
    return [training["run_id"] for training in facts["trainings"]]


def test_server_that_dies_before_it_has_restored_the_queue_loses_nothing(server, trainer, submit) -> None:
    before = Service(server)
    ids = [submit(before, server) for _number in range(2)]
    die(before)
    between = Service(server)
    newcomer = submit(between, server)
    assert sorted(stored_in(server)) == sorted([*ids, newcomer])


def test_run_that_the_server_died_of_twice_is_interrupted_and_the_others_go_on(
    server, trainer, submit
) -> None:
    service = Service(server)
    deadly, harmless = submit(service, server), submit(service, server)
    trainer.wait_for_one()
    die(service)
    service = Service(server)
    service.restore()
    trainer.wait_for_one()
    assert order_of(service) == [deadly, harmless]
    die(service)
    service = Service(server)
    service.restore()
    assert order_of(service) == [harmless]
    trainings = service.trainings(server)
    assert trainings.status(deadly) == "interrupted"
    assert "The app ended twice during this training." in said(trainings.snapshot(deadly).message)
    trainings.resume(deadly)
    assert trainings.status(deadly) == "queued"


def test_server_that_was_stopped_on_purpose_has_not_died(server, trainer, submit) -> None:
    run_id = ""
    for number in range(4):
        service = Service(server)
        service.restore()
        run_id = run_id or submit(service, server)
        trainer.wait_for_one()
        assert order_of(service) == [run_id], number
        service.close()
        die(service)


def test_run_that_cannot_go_on_says_why_and_the_others_go_on(server, trainer, submit) -> None:
    before = Service(server)
    anna = server.person(new_id())
    lost, kept = submit(before, anna), submit(before, server)
    die(before)
    shutil.rmtree(anna.datasets_dir)
    after = Service(server)
    after.restore()
    assert order_of(after) == [kept]
    assert after.trainings(anna).status(lost) == "interrupted"
    assert "There are no photos" in said(after.trainings(anna).snapshot(lost).message)


def test_finished_and_deleted_runs_are_not_restored(server, trainer, submit) -> None:
    before = Service(server)
    finished, deleted = submit(before, server), submit(before, server)
    trainer.wait_for_one()
    die(before)
    EventLog(server.run_dir(finished) / "events.jsonl").append(RunEnded(103.0, "finished"))
    shutil.rmtree(server.run_dir(deleted))
    after = Service(server)
    after.restore()
    assert order_of(after) == []
    assert stored_in(server) == []


def test_of_a_person_who_was_removed_nothing_comes_back(server, trainer, submit) -> None:
    before = Service(server)
    anna = server.person(new_id())
    submit(before, anna)
    submit(before, anna)
    trainer.wait_for_one()
    die(before)
    shutil.rmtree(anna.root)
    after = Service(server)
    after.restore()
    submit(after, server)
    assert len(order_of(after)) == len(stored_in(server)) == 1
    assert not anna.root.exists()


@pytest.mark.parametrize("content", ["", "{", '{"trainings": [{"owner": 3}]}', '{"trainings": 7}'])
def test_damaged_file_of_the_queue_is_replaced(server, trainer, submit, content) -> None:
    server.root.mkdir()
    (server.root / "queue.json").write_text(content)
    service = Service(server)
    service.restore()
    run_id = submit(service, server)
    assert stored_in(server) == [run_id]


def test_second_process_on_the_same_workspace_leaves_the_queue_of_the_first(server, trainer, submit) -> None:
    first, second = Service(server), Service(server)
    waiting = [submit(first, server) for _number in range(2)]
    second.restore()
    own = submit(second, server)
    assert sorted(stored_in(server)) == sorted([*waiting, own])
    assert order_of(second) == [own]


def test_runs_of_others_are_unknown_to_a_person(server, trainer, submit) -> None:
    service = Service(server)
    anna, ben = server.person(new_id()), server.person(new_id())
    run_id, waiting = submit(service, anna), submit(service, anna)
    trainer.wait_for_one()
    for stranger in (service.trainings(ben), service.trainings(server)):
        for other in (run_id, waiting):
            for look in (stranger.status, stranger.snapshot, stranger.delete, stranger.resume):
                with pytest.raises(NotFoundError):
                    look(other)
            for act in (stranger.request_stop, stranger.pause, stranger.go_on):
                act(other)
            assert stranger.place(other) == 0
            assert not stranger.is_here(other)
        assert stranger.running_runs == []
    own = service.trainings(anna)
    assert (own.status(run_id), own.status(waiting)) == ("running", "queued")
    assert not own.is_stopping(run_id)
    assert not own.is_to_pause(run_id)


def test_pause_of_one_ends_when_another_waits_and_not_before(server, trainer, submit, monkeypatch) -> None:
    service = Service(server)
    anna, ben = (service.trainings(server.person(new_id())) for _name in range(2))
    run_id = submit(service, anna.workspace)
    submit(service, anna.workspace)
    assert anna.seconds_of_pause_left(run_id) is None
    submit(service, ben.workspace)
    assert anna.seconds_of_pause_left(run_id) == 180.0
    assert not anna.has_pause_ended(run_id)


def test_waiting_time_is_the_sum_of_the_measured_runs_before(server, trainer, submit, color_dataset) -> None:
    service = Service(server)
    anna, ben = server.person(new_id()), server.person(new_id())
    first, second, last = (submit(service, person) for person in (anna, ben, server))
    trainer.wait_for_one()
    of_last = service.trainings(server)
    assert of_last.waiting_seconds(last) is None
    backbone = get_backbone(CONFIG.backbone)
    planned = estimated_seconds(CONFIG, color_dataset, backbone, anna.cache_dir)
    remember_run(anna.cache_dir, CONFIG.backbone, planned, 50.0)
    one = service.trainings(ben).waiting_seconds(second)
    # The first runs for some seconds, and began in 1970.
    assert one == 0.0
    assert of_last.waiting_seconds(last) == pytest.approx(one + 50.0)
    assert service.trainings(anna).waiting_seconds(first) == 0.0
    remember_run(ben.cache_dir, CONFIG.backbone, planned, 200.0)
    assert of_last.waiting_seconds(last) == pytest.approx(one + 100.0)


def test_pupil_with_as_many_waiting_trainings_as_allowed_starts_no_more(server, trainer, submit) -> None:
    service = Service(server)
    Classroom(server).change(limits=PersonLimits(waiting=2))
    anna, ben = server.person(new_id()), server.person(new_id())
    for _number in range(3):
        submit(service, anna)
    num_runs = len(anna.run_ids())
    with pytest.raises(TrainingError, match=r"Only 2 of your trainings may wait\."):
        submit(service, anna)
    assert len(anna.run_ids()) == num_runs
    submit(service, ben)
    for _number in range(3):
        submit(service, server)
    trainings = service.trainings(server.person(new_id()))
    dataset = ImageDataset.load(anna, anna.dataset_ids()[0])
    plan = SweepPlan.of(dataset, CONFIG, (0, 1), 2, get_backbone(CONFIG.backbone))
    with pytest.raises(TrainingError, match="may wait"):
        start_sweep(trainings, dataset, CONFIG, plan)
    assert trainings.workspace.run_ids() == []


def test_run_that_waits_is_the_one_that_begins_first(server, trainer, submit) -> None:
    service = Service(server)
    submit(service, server.person(new_id()))
    trainer.wait_for_one()
    own = [submit(service, server) for _number in range(2)]
    trainings = service.trainings(server)
    assert (trainings.running_runs, trainings.waiting.id) == ([], own[0])
    service.queue.move_first(task_of(service, own[1]))
    assert trainings.waiting.id == own[1]


def test_deletion_frees_the_results_of_its_person_alone(workspace: Workspace) -> None:
    service = Service(workspace)
    pupil = workspace.person(new_id())
    for owner in ("", pupil.owner):
        service.queue.start(Task("answers", f"of {owner}", lambda _task: 1, lane="light", owner=owner)).wait(
            PATIENCE
        )
    deleted: list[str] = []
    task = service.delete(pupil, lambda: deleted.append("photos"))
    assert task.wait(PATIENCE)
    assert (deleted, task.result) == (["photos"], True)
    assert service.queue.find("answers", f"of {pupil.owner}", pupil.owner) is None
    assert service.queue.find("answers", "of ") is not None


def test_everybodys_old_trash_is_deleted_while_the_server_runs(workspace: Workspace, color_dataset) -> None:
    service = Service(workspace)
    pupil = workspace.person(new_id())
    pupil.root.mkdir(parents=True)
    (pupil.root / "person.json").write_text("{}")
    thrown = []
    for place in (workspace, pupil):
        run = TrainingRun.create(place, color_dataset, CONFIG)
        move_to_trash(place, "run", run.id)
        thrown.append(place.trash_dir / run.id)
    service.tidy_up()
    assert all(folder.is_dir() for folder in thrown)
    for folder in thrown:
        os.utime(folder, (0, 0))
    service.tidy_up()
    assert not any(folder.exists() for folder in thrown)


@pytest.fixture
def predictors(monkeypatch) -> list:
    """Stand in for loading a model; the folders of those that were loaded."""
    from transfer_core.inference.predictor import Predictor

    loaded: list = []

    class Loaded:
        rejection = None

        def with_rejection(self, _rejection: object) -> object:
            return self

    def load(folder):
        loaded.append(folder)
        return Loaded()

    monkeypatch.setattr(Predictor, "load", load)
    return loaded


def test_a_class_keeps_a_model_for_each_of_its_people(server, predictors) -> None:
    people = Service(server, most_models_kept=8)
    run_ids = [new_id() for _number in range(8)]
    for run_id in run_ids * 2:
        people.predictor(server, run_id)
    assert len(predictors) == 8
    home = Service(server)
    for run_id in run_ids:
        home.predictor(server, run_id)
    assert [home.is_model_loaded(server, run_id) for run_id in run_ids] == [False] * 5 + [True] * 3


def test_the_model_that_was_used_least_lately_goes_first(server, predictors) -> None:
    service = Service(server)
    first, second, third, fourth = (new_id() for _number in range(4))
    for run_id in (first, second, third, first, fourth):
        service.predictor(server, run_id)
    assert service.is_model_loaded(server, first)
    assert not service.is_model_loaded(server, second)


def test_few_models_are_kept_when_memory_is_short(server, predictors, monkeypatch) -> None:
    monkeypatch.setattr("transfer_core.work.service.free_memory", lambda: 10**9)
    service = Service(server, most_models_kept=8)
    run_ids = [new_id() for _number in range(5)]
    for run_id in run_ids:
        service.predictor(server, run_id)
    assert sum(service.is_model_loaded(server, run_id) for run_id in run_ids) == 3


def test_models_that_nobody_uses_are_dropped(server, predictors) -> None:
    service = Service(server)
    run_id = new_id()
    service.predictor(server, run_id)
    assert service.drop_idle_models(60) == 0
    assert service.drop_idle_models(-1) == 1
    assert not service.is_model_loaded(server, run_id)
