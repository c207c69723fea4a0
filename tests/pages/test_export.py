"""Step 7: take the model away, with the proof that it answers as it does here."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.app.tasks import export_of
from tests.conftest import TrainOnce
from tests.core.publisher import publishing
from tests.pages.conftest import OpenPage, button, texts
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.export.bundle import EXPORTS_DIR, export_run
from transfer_core.export.formats import ExportFormat, list_formats
from transfer_core.export.parity import Parity
from transfer_core.export.web_runtime import ONNX_RUNTIME_WEB, REGISTRY_VARIABLE
from transfer_core.files import write_json
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

PAGE = "7_Export"


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=2))


def downloads(page: AppTest) -> list[str]:
    return [found.proto.label for found in page.get("download_button")]


def staged(run: TrainingRun, *parities: Parity) -> Path:
    """Put a bundle with these proofs where the page looks for it."""
    path = run.folder / EXPORTS_DIR / f"{run.id}-onnx.zip"
    write_json(path.with_suffix(".json"), {"parity": [one.to_dict() for one in parities], "refuses": None})
    path.write_bytes(b"PK" + bytes(20))
    return path


def test_without_a_model_it_says_what_to_do(open_page: OpenPage) -> None:
    assert "There is no trained model yet. Train one first." in texts(open_page(PAGE))


def test_each_format_says_what_it_is_for(open_page: OpenPage, run: TrainingRun) -> None:
    page = open_page(PAGE, run=run.id)
    for export_format in list_formats():
        assert export_format.purpose in texts(page)
        assert button(page, f"Create {export_format.title}")
    assert not downloads(page)
    assert "Not exported yet" in page.sidebar.caption[6].value


def test_what_was_made_can_be_downloaded_with_its_proof(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun
) -> None:
    export_run(page_workspace, run, "onnx")
    page = open_page(PAGE, run=run.id)
    assert "Tested: 6 of 6 photos get the same answer; the largest difference is" in texts(page)
    assert len(downloads(page)) == 1
    assert "1 file ready" in page.sidebar.caption[6].value


def test_a_model_that_answers_otherwise_is_marked_with_the_photos(
    open_page: OpenPage, run: TrainingRun
) -> None:
    staged(
        run,
        Parity("float32", 20, 6, 6, 4, 6, 0.0, 0.001, (), True),
        Parity("float16", 10, 6, 5, 4, 6, 0.3, 0.001, ("red-3.png",), False),
        Parity("int8", 5, 6, 6, 4, 6, 0.2, 0.5, (), True),
    )
    page = open_page(PAGE, run=run.id)
    assert "The version float16 answers differently: 5 of 6 photos" in page.warning[0].value
    assert "You have changed when it says" in texts(page)
    assert "red-3.png" in texts(page)


def test_a_missing_package_is_named_where_it_is_needed(
    open_page: OpenPage, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExportFormat, "missing_packages", property(lambda one: [p for _m, p in one.needs]))
    page = open_page(PAGE, run=run.id)
    assert "pip install onnx tf2onnx onnxruntime" in texts(page)
    assert button(page, "Create Keras")


def test_the_web_page_says_what_it_downloads_and_why_it_is_not_tensorflow_js(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun
) -> None:
    page = open_page(PAGE, run=run.id)
    assert "TensorFlow.js: its converter cannot be installed" in texts(page)
    assert "downloads ONNX Runtime Web (33 MB), once" in texts(page)
    (told,) = [found for found in page.caption if "downloads ONNX Runtime Web" in found.value]
    assert f"`{ONNX_RUNTIME_WEB.archive}` on another computer from {ONNX_RUNTIME_WEB.address}" in told.help
    assert f"`{page_workspace.runtimes_dir}`" in told.help
    (page_workspace.runtimes_dir / ONNX_RUNTIME_WEB.archive).write_bytes(b"put here by hand")
    assert "downloads ONNX Runtime Web" not in texts(open_page(PAGE, run=run.id))


def test_the_download_shows_its_bar_and_can_be_cancelled(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publishing(bytes(3_000_000)) as registry:
        registry.may_go_on.clear()
        monkeypatch.setenv(REGISTRY_VARIABLE, registry.url)
        page = open_page(PAGE, run=run.id)
        button(page, "Create Web page").click().run()
        registry.is_half_sent.wait(60)
        job = export_of(run, "web")
        assert job is not None
        while job.progress.num_done < 1_500_000:
            pass
        page.run()
        assert page.get("progress")[0].proto.text == "Downloading ONNX Runtime Web: 2 of 3 MB"
        button(page, "Cancel").click().run()
        registry.may_go_on.set()
        assert job.wait(60)
        page.run()
    assert button(page, "Create Web page")
    assert not page.error
    assert not list(page_workspace.runtimes_dir.iterdir())


def test_offline_it_is_one_sentence(open_page: OpenPage, run: TrainingRun) -> None:
    page = open_page(PAGE, run=run.id)
    button(page, "Create Web page").click().run()
    job = export_of(run, "web")
    assert job is not None
    assert job.wait(60)
    page.run()
    assert page.error[0].value.startswith("ONNX Runtime Web could not be downloaded")
