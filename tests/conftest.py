"""Fixtures of all tests: a workspace, small images, larger data sets, and the browser."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from PIL import Image

from transfer_core.backbones.published.zoo_weights import URL_VARIABLE, WEIGHTS_VARIABLE
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import ExportError
from transfer_core.export.web_runtime import REGISTRY_VARIABLE, get_runtime
from transfer_core.language import LANGUAGE_VARIABLE
from transfer_core.recipes import ENGLISH
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE, RUN
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.execute import execute_run
from transfer_core.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
COLORS = {"blue": (30, 60, 200), "green": (40, 170, 60), "red": (210, 40, 40)}
# The shell draws the same pages with half the work: no window, no menus, no process for a graphics card.
BROWSER_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# The value of the environment, which `no_downloads` overrides.
NPM_REGISTRY = os.environ.get(REGISTRY_VARIABLE)
REQUIRE_BROWSER_VARIABLE = "TRANSFER_STUDIO_REQUIRE_BROWSER"

# Files that take longest, in the order in which two workers begin them: one waits for a browser, the other computes.
LONGEST_FILES = (
    "e2e/test_accessibility.py",
    "core/backbones/published/test_zoo.py",
    "e2e/test_images.py",
    "core/work/cluster/test_local_cluster.py",
    "e2e/test_training.py",
    "core/work/cluster/test_failover.py",
    "e2e/test_new_photos.py",
    "core/work/cluster/test_cluster_executor.py",
    "e2e/test_quick_start.py",
    "test_endurance.py",
    "e2e/test_cluster.py",
    "core/export/test_code.py",
    "e2e/test_class.py",
    "core/training/test_precision.py",
    "e2e/test_pseudo_language.py",
    "core/training/test_all_photos.py",
    "e2e/test_phone.py",
    "core/backbones/published/test_real_weights.py",
    "e2e/test_camera.py",
    "core/training/test_train.py",
    "e2e/test_isolation.py",
    "core/evaluation/test_audition.py",
    "e2e/test_languages.py",
    "core/work/test_executor.py",
    "e2e/test_gallery.py",
    "core/cli/test_command_line.py",
    "e2e/test_journey.py",
    "core/projects/test_projects.py",
    "e2e/test_api.py",
    "core/cli/test_cluster_commands.py",
    "e2e/test_look_ahead.py",
    "core/backbones/published/test_efficientnet_lite.py",
    "e2e/test_projects.py",
    "core/training/test_resume.py",
    "e2e/test_model.py",
    "core/export/test_web_page.py",
)

MakeImage = Callable[..., bytes]
TrainOnce = Callable[[Workspace, ImageDataset, TrainingConfig], TrainingRun]


@pytest.fixture(scope="session", autouse=True)
def no_downloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hide downloaded weights from all tests and block their downloads."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(WEIGHTS_VARIABLE, str(tmp_path_factory.mktemp("weights")))
        environment.setenv(URL_VARIABLE, "http://127.0.0.1:9")
        environment.setenv(REGISTRY_VARIABLE, "http://127.0.0.1:9")
        yield


@pytest.fixture(scope="session", autouse=True)
def english() -> Iterator[None]:
    """Let the command line speak English, whatever the system speaks."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(LANGUAGE_VARIABLE, ENGLISH)
        yield


@pytest.fixture(scope="session")
def web_runtimes_or_reason() -> Path | str:
    """Folder with the runtime of exported web pages, or the reason why there is none.

    It is downloaded once with the app's own code and stored for later test runs.
    """
    folder = Path(tempfile.gettempdir()) / "transfer-studio-test-runtimes"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as environment:
        if NPM_REGISTRY:
            environment.setenv(REGISTRY_VARIABLE, NPM_REGISTRY)
        else:
            environment.delenv(REGISTRY_VARIABLE)
        try:
            get_runtime(folder)
        except ExportError as error:
            return f"needs a package of the npm registry: {error}"
    return folder


@pytest.fixture(scope="session")
def web_runtimes(web_runtimes_or_reason: Path | str) -> Path:
    """Folder with the runtime of exported web pages; skips the test if it cannot be downloaded."""
    if isinstance(web_runtimes_or_reason, str):
        pytest.skip(web_runtimes_or_reason)
    return web_runtimes_or_reason


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """An empty workspace that is not on disk yet."""
    return Workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def train_once(tmp_path_factory: pytest.TempPathFactory) -> TrainOnce:
    """`train_once(workspace, dataset, config)` gives a new finished run.

    The same photos with the same choices end with the same weights, so they are trained once in a session. Later
    runs get copies of what that training wrote, its cached features among it.
    """
    trained: dict[tuple[TrainingConfig, tuple[ImageRecord, ...]], Workspace] = {}

    def train(workspace: Workspace, dataset: ImageDataset, config: TrainingConfig) -> TrainingRun:
        run = TrainingRun.create(workspace, dataset, config)
        key = config, dataset.images
        if key not in trained:
            execute_run(workspace, run, EventLog(run.folder / EVENTS_FILE).append, lambda: False)
            trained[key] = Workspace(tmp_path_factory.mktemp("trained"))
            _copy_training(run.folder, trained[key].root / "run")
            _copy_training(workspace.cache_dir, trained[key].cache_dir)
        else:
            _copy_training(trained[key].root / "run", run.folder)
            _copy_training(trained[key].cache_dir, workspace.cache_dir)
        return run

    return train


def _copy_training(source: Path, target: Path) -> None:
    """Copy all but the choices, which name the photos of one workspace."""
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(RUN.name))


@pytest.fixture(scope="session")
def make_image() -> MakeImage:
    """`make_image("red", seed=3)` returns the bytes of a small image; each seed has its own pixels."""
    return _image_bytes


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """A folder with the classes `blue`, `green` and `red`, with eight images of that colour each."""
    folder = tmp_path / "colors"
    for class_number, color in enumerate(COLORS):
        (folder / color).mkdir(parents=True)
        for number in range(8):
            content = _image_bytes(color, seed=100 * class_number + number, image_format="JPEG")
            (folder / color / f"{color}-{number}.jpg").write_bytes(content)
    return folder


def write_catalogue(folder: Path, code: str, sentences: Mapping[Any, Any]) -> None:
    """Write a small catalogue into a folder that `LOCALE_VARIABLE` can name; the two forms of a plural are a tuple."""
    folder.mkdir(exist_ok=True)
    catalogue = Catalog(locale=code)
    for english, text in sentences.items():
        catalogue.add(english, text)
    with (folder / f"{code}.po").open("wb") as file:
        write_po(file, catalogue)


def near_duplicate(content: bytes) -> bytes:
    """Return the image with a stronger JPEG compression: other pixels, but no visible difference."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def swap_classes(keras: Any, folder: Path) -> None:
    """Replace the model of a run by one with its outputs in reverse order."""
    model = keras.saving.load_model(folder / "model.keras", compile=False)
    output = model.get_layer("new_layer")
    output.set_weights([array[..., ::-1] for array in output.get_weights()])
    model.save(folder / "model.keras")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of larger data sets beside the repository; skips the test without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the data sets in ../shared/data, which are not part of the repository")
    return folder


@pytest.fixture(scope="session")
def browser_path() -> str:
    """Path of a Chromium; without one, skips the test, or fails it if a browser is required."""
    return _browser_path()


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist hand out files in our order; its own begins with those that have the most tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no worker is left with one at the end."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("browser"):
        _browser_path()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker("browser"):
        _fail_when_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if collector.path.is_relative_to(ROOT / "tests" / "e2e"):
        _fail_when_skipped(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the skips of each reason: `-ra` lists a reason again for every line of a test file."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    if reasons:
        terminalreporter.section(f"{reasons.total()} skipped")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count} x {reason}")


def _image_bytes(
    color: str | tuple[int, int, int] = "red",
    seed: int = 0,
    size: tuple[int, int] = (40, 32),
    image_format: str = "PNG",
    noise: int = 24,
) -> bytes:
    """Return an encoded image of one colour with noise.

    Args:
        color: Name in `COLORS`, or red, green and blue in 0-255.
        seed: Seed of the noise.
        size: Width and height in pixels.
        image_format: Pillow format name.
        noise: Largest offset of a channel, 0-255; 0 gives a flat colour.
    """
    width, height = size
    base = np.array(COLORS.get(color, (128, 128, 128)) if isinstance(color, str) else color)
    offsets = np.random.default_rng(seed).integers(-noise, noise + 1, (height, width, 3))
    pixels = (base + offsets).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format)
    return buffer.getvalue()


def _browser_path() -> str:
    candidates = (os.environ.get("CHROMIUM", ""), *BROWSER_NAMES)
    found = next((path for name in candidates if (path := shutil.which(name))), None)
    if found:
        return found
    message = f"needs one of {', '.join(BROWSER_NAMES)} on the PATH, or the variable CHROMIUM"
    if _is_browser_required():
        pytest.fail(f"{message} ({REQUIRE_BROWSER_VARIABLE} is set)", pytrace=False)
    pytest.skip(message)


def _is_browser_required() -> bool:
    return os.environ.get(REQUIRE_BROWSER_VARIABLE) == "1"


def _fail_when_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Report a skipped browser test as failed if a browser is required."""
    if _is_browser_required() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {REQUIRE_BROWSER_VARIABLE} is set: {report.longrepr}"
