"""No page shows English to a person who speaks another language, in any of its states."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec import structs
from streamlit.testing.v1 import AppTest

import pages.ui.app.process
from tests.conftest import ROOT, MakeImage, TrainOnce, near_duplicate
from tests.pages.conftest import QUICK, TINY, OpenPage, StagedCluster, StagedRuns, submit, train_sweep
from tests.pages.shown_texts import english_left
from tests.pages.test_classroom import Cookies, cookies, open_part, pupils, teacher  # noqa: F401
from tools.languages import write_pseudo
from tools.pseudo_language import PSEUDO
from transfer_core.classroom.people import Person
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files
from transfer_core.data.sources.folder import folder_source
from transfer_core.events import PhotosLeftOut, RunEnded
from transfer_core.language import LANGUAGE_VARIABLE
from transfer_core.recipes import LOCALE_VARIABLE
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.training_run import TrainingRun
from transfer_core.runs.trash import move_to_trash
from transfer_core.workspace import Workspace

PAGES = ("", *sorted(path.stem for path in (ROOT / "pages").glob("*.py")))
RESULTS = ("mistakes", "classes", "certainty", "why", "map", "overview")

# The same in every language: models, programs, formats and methods, files, and the names that these tests give.
NAMES = re.compile(
    r"\b(EfficientNet-Lite\d|efficientnet_lite\d\w*|MobileNet\w*|ResNet\w*|Inception\w*|Xception|VGG\d+|DenseNet\d+"
    r"|NASNet\w*|ConvNeXt\w*|Tiny network for tests|tiny_random|(stem|top|block)\d?\w*|Apache-2\.0|AdamW?|SGD"
    r"|Transfer Studio|English|Keras|ONNX|LiteRT|TensorFlow( Lite| SavedModel)?|TurboWarp|Scratch|Python|JavaScript"
    r"|curl|Grad-CAM|Selvaraju et al|blue|green|red|colors|Mia|Ben|lab[-_]\d|python3 start\.py --class"
    r"|million|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)\b"
    # Addresses of measurements, files, ids, and the code of a class.
    r"|\b(github\.com|keras\.io)/\S+|\bmodels/official/\S+|\bFP32\b"
    r"|\b[\w./-]*\.(txt|csv|tsv|png|jpe?g|zip|keras|json|py|js)\b|\b\d{8}-\d{6}-\w+|/tmp/\S+|\b[A-Z]{6}\b"
)


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pseudo")
    write_pseudo(folder)
    return folder


@pytest.fixture(autouse=True)
def pseudo_language(catalogues: Path, page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LOCALE_VARIABLE, str(catalogues))
    monkeypatch.setenv(LANGUAGE_VARIABLE, PSEUDO)


@pytest.fixture
def look(open_page: OpenPage) -> Iterator[Callable[..., AppTest]]:
    """`look(name, ...)` opens a page; at the end of the test nothing English may have been on one of them."""
    left: list[str] = []

    def open_it(name: str | AppTest, **query: object) -> AppTest:
        page = open_page(name, **query) if isinstance(name, str) else name
        assert not page.exception, page.exception
        left.extend(
            f"{name if isinstance(name, str) else '...'} {text}" for text in english_left(page, NAMES)
        )
        return page

    yield open_it
    assert not left, "\n".join(dict.fromkeys(left))


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    halved = dataset.with_split(0.5, seed=1).save()
    return train_once(page_workspace, halved, TINY)


def archive(photos: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in photos.items():
            file.writestr(name, content)
    return buffer.getvalue()


def test_pages_without_anything(look: Callable[..., AppTest]) -> None:
    for name in PAGES:
        look(name)
    page = look("1_Model", model="efficientnet_lite0")
    page.button(key="details-card").click().run()
    look(page)


@pytest.mark.usefixtures("tasks_at_once")
def test_pages_with_photos(look: Callable[..., AppTest], dataset: ImageDataset, image_folder: Path) -> None:
    (image_folder / "red" / "damaged.jpg").write_bytes(b"no photo")
    near = near_duplicate((image_folder / "red" / "red-0.jpg").read_bytes())
    (image_folder / "blue" / "copy.jpg").write_bytes(near)
    dataset = add_files(dataset, folder_source(image_folder))
    for name in PAGES:
        look(name, images=dataset.id, model="efficientnet_lite0", unfrozen=1)
    page = look("4_Train", images=dataset.id, model="efficientnet_lite0", unfrozen=0)
    page.toggle[0].set_value(True).run()
    look(page)
    look("8_Compare", view="depths", images=dataset.id, model="tiny_random")


@pytest.mark.usefixtures("tasks_at_once")
def test_pages_with_a_model(look: Callable[..., AppTest], run: TrainingRun) -> None:
    for name in PAGES:
        look(name, run=run.id)
    for part in RESULTS:
        look("5_Results", run=run.id, part=part)


@pytest.mark.usefixtures("tasks_at_once")
def test_ways_to_test_a_model(look: Callable[..., AppTest], run: TrainingRun, make_image: MakeImage) -> None:
    page = look("6_Test", run=run.id)
    way = next(found for found in page.segmented_control if str(found.key).startswith("test-way"))
    for name in ("photos", "many", "game"):
        way.set_value(name).run()
        if name == "many":
            photos = archive({"a/b.png": make_image("red"), "bad.jpg": b"plain text"})
            page.file_uploader[1].upload("a.zip", photos, "application/zip").run()
        look(page)


@pytest.mark.usefixtures("tasks_at_once")
def test_two_models_and_depths(
    look: Callable[..., AppTest],
    run: TrainingRun,
    dataset: ImageDataset,
    page_workspace: Workspace,
    train_once: TrainOnce,
) -> None:
    other = TrainingRun.create(page_workspace, dataset, TINY)
    look("8_Compare", compare=f"{run.id},{other.id}")
    train_sweep(train_once, page_workspace, dataset, QUICK)
    look("8_Compare", view="depths")


@pytest.mark.usefixtures("tasks_at_once")
def test_damaged_files_and_trash(
    look: Callable[..., AppTest], run: TrainingRun, dataset: ImageDataset, page_workspace: Workspace
) -> None:
    for name in (
        "evaluation.json",
        "signature.json",
        "split.json",
        "model.keras",
        "events.jsonl",
        "config.json",
    ):
        path = run.folder / name
        whole = path.read_bytes()
        path.write_bytes(b"[]\n")
        for place in ("", "5_Results", "6_Test", "8_Compare"):
            look(place, run=run.id, part="overview")
        path.write_bytes(whole)
    move_to_trash(page_workspace, "run", run.id)
    page = look("12_Your_data")
    page.button(key=f"delete-dataset-{dataset.id}").click().run()
    look(page)


@pytest.mark.parametrize(
    "ending",
    [
        RunEnded(110.0, "finished", best_epoch=2),
        RunEnded(110.0, "stopped", best_epoch=2),
        RunEnded(110.0, "failed"),
        RunEnded(110.0, "interrupted"),
    ],
    ids=lambda ending: ending.outcome,
)
def test_a_training_and_its_end(
    ending: RunEnded, look: Callable[..., AppTest], dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    staged_runs.ending = ending
    run_id = submit(dataset)
    waiting_id = submit(dataset)
    assert staged_runs.reached_half_way.wait(30)
    if ending.outcome == "finished":
        for name in ("", "1_Model", "4_Train"):
            look(name, run=run_id)
        look("4_Train", run=waiting_id)
    run = TrainingRun.load(pages.ui.app.process.workspace(), run_id)
    EventLog(run.folder / "events.jsonl").append(PhotosLeftOut(111.0, ("a1",), ("red.jpg",), ("red",)))
    page = look("4_Train", run=run_id)
    next(found for found in page.button if found.key == "pause").click().run()
    look(page)
    staged_runs.let_go.set()
    while pages.ui.app.process.trainings().status(run_id) in ("queued", "running", "paused"):
        pass
    look("4_Train", run=run_id)


def test_trainings_on_a_cluster(
    look: Callable[..., AppTest], dataset: ImageDataset, cluster: StagedCluster
) -> None:
    cluster.nodes = [structs.replace(node, problem="") for node in cluster.nodes]
    run_id = submit(dataset)
    cluster.wait_half_way()
    for name in ("", "4_Train"):
        look(name, run=run_id)


@pytest.mark.usefixtures("teacher", "tasks_at_once")
def test_the_pages_of_a_class(
    look: Callable[..., AppTest],
    pupils: list[Person],  # noqa: F811
    cookies: Cookies,  # noqa: F811
    page_workspace: Workspace,
) -> None:
    page = look("11_Class")
    for part in ("handing", "collecting", "settings"):
        look(open_part(page, part))
    for show in ("code", pupils[0].id):
        look("11_Class", show=show)
    for name in ("", "12_Your_data"):
        look(name)
    cookies.be_pupil(page_workspace, pupils[0])
    for name in PAGES:
        look(name)
