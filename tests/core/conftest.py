"""A small dataset and runs that have been trained once for all tests of the engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_catalogue
from transfer_core.backbones.runtime import load_keras
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.events import TrainingEvent
from transfer_core.inference.predictor import Predictor
from transfer_core.language import LANGUAGE_VARIABLE
from transfer_core.recipes import LOCALE_VARIABLE
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

NUM_IMAGES_PER_CLASS = 8
UseCatalogues = Callable[..., None]


@dataclass(frozen=True)
class FinishedRun:
    """A tiny run that trained to its end, with all it left behind."""

    workspace: Workspace
    dataset: ImageDataset
    run: TrainingRun
    events: list[TrainingEvent]

    @property
    def folder(self) -> Path:
        return self.run.folder


@pytest.fixture
def use_catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UseCatalogues:
    """`use_catalogues(de={"Images": "Bilder"})` lets there be these languages alone besides English."""

    def use(**languages: dict[str, str]) -> None:
        folder = tmp_path / "locale"
        for code, sentences in languages.items():
            write_catalogue(folder, code, sentences)
        monkeypatch.setenv(LOCALE_VARIABLE, str(folder))
        monkeypatch.delenv(LANGUAGE_VARIABLE, raising=False)

    return use


@pytest.fixture(scope="session")
def session_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace that tests read and add to, and never take anything from."""
    return Workspace(tmp_path_factory.mktemp("session"))


@pytest.fixture(scope="session")
def color_dataset(session_workspace: Workspace, make_image) -> ImageDataset:
    """Eight pictures each of `blue`, `green` and `red`; six of the 24 are for validation."""
    files = [
        ImportedFile(
            (color, f"{color}-{number}.png"), lambda c=color, n=number: make_image(c, seed=n, noise=90)
        )
        for color in ("blue", "green", "red")
        for number in range(NUM_IMAGES_PER_CLASS)
    ]
    return add_files(create_dataset(session_workspace, "Colours"), files)


@pytest.fixture(scope="session")
def tiny_config() -> TrainingConfig:
    """Choices with which a training takes about a second."""
    return TrainingConfig(
        backbone="tiny_random", epochs=3, fine_tune_epochs=2, batch_size=8, fine_tune_learning_rate=0.01
    )


@pytest.fixture(scope="session")
def keras_module():
    """Keras, loaded the way the engine loads it."""
    load_keras()
    import keras

    return keras


@pytest.fixture(scope="session")
def finished_run(
    session_workspace: Workspace, color_dataset: ImageDataset, tiny_config: TrainingConfig
) -> FinishedRun:
    """A run whose last block learned along, carried out as the queue does it."""
    config = tiny_config.with_changes(num_unfrozen_blocks=1)
    run = TrainingRun.create(session_workspace, color_dataset, config)
    log = EventLog(run.folder / EVENTS_FILE)
    events: list[TrainingEvent] = []

    def emit(event: TrainingEvent) -> None:
        log.append(event)
        events.append(event)

    execute_run(session_workspace, run, emit, lambda: False)
    return FinishedRun(session_workspace, color_dataset, run, events)


@pytest.fixture
def own(finished_run: FinishedRun, workspace: Workspace) -> FinishedRun:
    """The finished run, alone in a workspace of its own."""
    run_dir = workspace.run_dir(finished_run.run.id)
    shutil.copytree(finished_run.folder, run_dir)
    run = TrainingRun.load(workspace, finished_run.run.id)
    return FinishedRun(workspace, finished_run.dataset, run, finished_run.events)


@pytest.fixture(scope="session")
def predictor(finished_run: FinishedRun) -> Predictor:
    return Predictor.load(finished_run.folder)


@pytest.fixture
def file_size_limit():
    """`with file_size_limit(bytes):` the system refuses to write more than that into one file."""
    resource = pytest.importorskip("resource", reason="needs limits as Linux and macOS have them")

    # Taken back before the test ends, or pytest could not write its own report.
    @contextmanager
    def limit(num_bytes: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


@pytest.fixture(scope="session")
def sample_picture() -> bytes:
    """The bytes of one picture that ships with the engine."""
    pictures = Path(__file__).resolve().parents[2] / "transfer_core" / "data" / "sample_pictures" / "pictures"
    return (pictures / "animals" / "owl-1f989.jpg").read_bytes()


@pytest.fixture(scope="session")
def noise_pixels():
    """Eight images of noise for the tiny network, raw pixels in 0-255."""
    return np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.float32)
