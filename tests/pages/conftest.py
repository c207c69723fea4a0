"""What the tests of the pages share: a page in memory, datasets, and runs whose course a test decides."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
import streamlit.runtime.context
from msgspec import structs
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

import pages.ui.app.process
import transfer_core.work.service
from tests.conftest import ROOT, TrainOnce
from transfer_core.classroom.facts import CLASS_VARIABLE
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.events import (
    BatchEnded,
    EpochEnded,
    PhaseStarted,
    RunEnded,
    RunPlaced,
    RunStarted,
    TrainingEvent,
)
from transfer_core.files import write_json
from transfer_core.runs.sweep_plan import SWEEP, SweepPlan
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.cluster.nodes import Node
from transfer_core.work.executor import EXECUTOR_VARIABLE
from transfer_core.work.look_ahead import LOOK_AHEAD_VARIABLE
from transfer_core.work.queue import WorkQueue
from transfer_core.work.task import Task
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace

OpenPage = Callable[..., AppTest]

# The choices of every test that needs some trained model: with `train_once` they train one a session.
TINY = TrainingConfig(backbone="tiny_random", epochs=40)
# Quick to train at several depths. Its batches are equally large: TensorFlow traces a step again for another size.
QUICK = TrainingConfig(backbone="tiny_random", epochs=2, fine_tune_epochs=1, batch_size=6)

HALF_WAY: tuple[TrainingEvent, ...] = (
    RunStarted(100.0, 19, 5, 4, stages=(("head", 60.0, True), ("evaluation", 60.0, True))),
    PhaseStarted(101.0, "head", 12),
    BatchEnded(102.0, 1, 3, 1.2, 0.4, 19, batch_loss=1.3, learning_rate=0.01),
    EpochEnded(103.0, 1, "head", 1.2, 0.4, 1.1, 0.6, 0.01, 820_000_000, "01011"),
    EpochEnded(104.0, 2, "head", 0.8, 0.7, 0.9, 0.8, 0.01, 820_000_000, "11011"),
    BatchEnded(105.0, 3, 8, 0.6, 0.8, 50, batch_loss=0.5, learning_rate=0.0085, epoch_share=0.6),
)


class StagedRuns:
    """Carries runs out as a test wants: tells the events, then waits until it is let go.

    One that `obeys` asks meanwhile whether to pause or to stop.
    """

    def __init__(self) -> None:
        self.reached_half_way = threading.Event()
        self.let_go = threading.Event()
        self.obeys = False
        self.ending = RunEnded(110.0, "finished", best_epoch=2)

    def execute(
        self,
        workspace: Workspace,
        run: TrainingRun,
        emit: Callable[[TrainingEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        # The time left counts down with the clock.
        late = time.time() - HALF_WAY[-1].time
        for event in HALF_WAY:
            emit(structs.replace(event, time=event.time + late))
        self.reached_half_way.set()
        while self.obeys and not self.let_go.is_set() and not should_stop():
            pass
        if not self.obeys:
            self.let_go.wait(timeout=60)
        emit(self.ending)


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> Iterator[None]:
    """Every `AppTest` looks through all installed packages for components: once is enough, and a third of the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests)
        )
        yield


@pytest.fixture(scope="session", autouse=True)
def no_browser() -> Iterator[None]:
    """Leave pages without cookies and headers: a mock answers for them, and each page looked for its language."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamlit.runtime.context, "_get_client_context", lambda: None)
        yield


@pytest.fixture(autouse=True)
def page_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """The workspace of the pages; what the server keeps for all visitors starts again. Pages do not look ahead."""
    monkeypatch.setenv(LOOK_AHEAD_VARIABLE, "off")
    # Nobody would end the worker process of a class.
    monkeypatch.setenv(EXECUTOR_VARIABLE, "thread")
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "workspace"))
    st.cache_resource.clear()
    yield Workspace(tmp_path / "workspace")
    st.cache_resource.clear()


@pytest.fixture
def server(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace of a server with a class."""
    monkeypatch.setenv(CLASS_VARIABLE, "1")
    return page_workspace


@pytest.fixture
def staged_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[StagedRuns]:
    staged = StagedRuns()
    monkeypatch.setattr(transfer_core.work.service, "chosen_executor", lambda _default: staged.execute)
    yield staged
    staged.let_go.set()


LAB_3 = RunPlaced(99.0, "lab-3", "10.0.0.3", "Xeon", 1)
LAB_4 = RunPlaced(120.0, "lab-4", "10.0.0.4", "Ryzen", 1)


class StagedCluster:
    """A cluster of some computers, on which runs go as a test wants.

    Each run begins on lab-3, emits the events of half the way, then waits until it is let go or stopped.
    """

    def __init__(self) -> None:
        self.size = 9
        self.problem = ""
        self.is_on_this_computer = False
        self.nodes: list[Node] = [
            Node("b", "lab-4", "10.0.0.4", 8.0, num_gpus=1.0),
            Node("a", "lab-3", "10.0.0.3", 4.0),
            Node("c", "lab_5", "10.0.0.5", 4.0, problem="Its version of the app is 0.9, and 1.0 is needed."),
            Node("head", "server", "10.0.0.1", 0.0),
        ]
        self.let_go = threading.Event()
        self._reached_half_way = threading.Semaphore(0)
        self._emits: dict[str, Callable[[TrainingEvent], None]] = {}
        self._reserved: set[str] = set()

    def __call__(
        self,
        workspace: Workspace,
        run: TrainingRun,
        emit: Callable[[TrainingEvent], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._emits[run.id] = emit
        late = time.time() - HALF_WAY[-1].time
        for event in (LAB_3, *HALF_WAY):
            emit(structs.replace(event, time=event.time + late))
        self._reached_half_way.release()
        while not should_stop() and not self.let_go.wait(0.01):
            pass
        emit(RunEnded(time.time(), "finished", best_epoch=2))
        self.release(workspace, run)

    def wait_half_way(self, num_runs: int = 1) -> None:
        for _number in range(num_runs):
            assert self._reached_half_way.acquire(timeout=30)

    def emit(self, run_id: str, *events: TrainingEvent) -> None:
        """Let more happen to a run that is half way."""
        for event in events:
            self._emits[run_id](structs.replace(event, time=time.time()))

    def connect(self) -> None:
        pass

    def prepare(self, workspace: Workspace, run: TrainingRun) -> None:
        pass

    def reserve(self, workspace: Workspace, run: TrainingRun) -> bool:
        has_room = len(self._reserved) < self.size
        if has_room:
            self._reserved.add(run.id)
        return has_room

    def release(self, workspace: Workspace, run: TrainingRun) -> None:
        self._reserved.discard(run.id)

    def on_room(self, callback: Callable[[], None]) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[StagedCluster]:
    """Trainings run on a cluster."""
    staged = StagedCluster()
    monkeypatch.setattr(transfer_core.work.service, "chosen_executor", lambda _default: staged)
    yield staged
    staged.let_go.set()


class PatientQueue(WorkQueue):
    """Returns from `start` when the task is over, unless it is a training or waits for one."""

    def start(self, task: Task[Any]) -> Task[Any]:
        started = super().start(task)
        assert started.kind == "training" or started.state == "waiting" or started.wait(60)
        return started


@pytest.fixture
def tasks_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every task but a training be over when the page that starts it is drawn."""
    monkeypatch.setattr(transfer_core.work.service, "WorkQueue", PatientQueue)


class HeldTasks(list[Callable[[], None]]):
    """The work of tasks that a page has started, to be done when a test wants."""

    def carry_out(self) -> None:
        """Do what was started so far."""
        while self:
            self.pop(0)()


@pytest.fixture
def held_tasks(monkeypatch: pytest.MonkeyPatch) -> HeldTasks:
    """Tasks that look as if they were running; no thread works on them."""
    held = HeldTasks()
    st.cache_resource.clear()
    monkeypatch.setattr(
        transfer_core.work.service, "WorkQueue", lambda **options: WorkQueue(held.append, **options)
    )
    return held


@pytest.fixture
def dataset(page_workspace: Workspace, image_folder: Path) -> ImageDataset:
    """Three classes of eight small pictures."""
    return add_files(create_dataset(page_workspace, "colors"), folder_source(image_folder))


@pytest.fixture
def open_page() -> OpenPage:
    """`open_page("1_Model", model="efficientnet_lite0")` opens a page with an address."""

    def open_it(name: str = "", **query: object) -> AppTest:
        page = AppTest.from_file(str(ROOT / "welcome.py"), default_timeout=60)
        for key, value in query.items():
            page.query_params[key] = str(value)
        if name:
            page.switch_page(f"pages/{name}.py")
        page.run()
        assert not page.exception, page.exception
        return page

    return open_it


def train_sweep(
    train_once: TrainOnce, workspace: Workspace, dataset: ImageDataset, config: TrainingConfig
) -> None:
    """Leave a finished sweep of two depths, twice each."""
    plan = SweepPlan.of(dataset, config, [0, 1], 2)
    for _depth, _seed, choices in plan.configs(config):
        run = train_once(workspace, dataset, choices)
        write_json(run.folder / SWEEP.name, plan.marks[SWEEP.name])


def submit(dataset: ImageDataset, **changes: object) -> str:
    """Put a run into the queue of the pages."""
    return pages.ui.app.process.trainings().submit(dataset, TrainingConfig(**changes))


def texts(page: AppTest) -> str:
    """Every sentence on a page, to look for words in."""
    elements = [
        *page.title,
        *page.header,
        *page.subheader,
        *page.markdown,
        *page.caption,
        *page.info,
        *page.warning,
        *page.error,
        *page.success,
    ]
    return "\n".join(str(element.value) for element in elements)


def button(page: AppTest, label: str) -> object:
    """The button with that label."""
    return next(found for found in page.button if found.label == label)


def open_ways(page: AppTest) -> AppTest:
    """Open the ways to add photos on the Images page, which are folded once there are some."""
    return page.button(key="add-or-replace").click().run()
