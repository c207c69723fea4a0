"""Step 7: take the model away, with the proof that it answers as it does here."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

from pages.ui.app.tasks import export_of
from tests.conftest import TrainOnce
from tests.core.publisher import publishing
from tests.pages.conftest import TINY, HeldTasks, OpenPage, button, submit, texts
from transfer_core.classroom.facts import ADDRESS_VARIABLE
from transfer_core.data.dataset import ImageDataset
from transfer_core.export.bundle import bundle_path, export_run
from transfer_core.export.formats import ExportFormat, list_formats
from transfer_core.export.parity import Parity
from transfer_core.export.web_runtime import ONNX_RUNTIME_WEB, REGISTRY_VARIABLE
from transfer_core.files import write_json
from transfer_core.runs.api_key import key_of, workspace_of_key
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.task import TaskProgress
from transfer_core.workspace import Workspace

PAGE = "7_Export"


@pytest.fixture
def run(page_workspace: Workspace, dataset: ImageDataset, train_once: TrainOnce) -> TrainingRun:
    return train_once(page_workspace, dataset, TINY)


def downloads(page: AppTest) -> list[str]:
    return [found.proto.label for found in page.get("download_button")]


def staged(run: TrainingRun, *parities: Parity) -> Path:
    """Put a bundle with these proofs where the page looks for it."""
    path = bundle_path(run.folder, "onnx")
    write_json(path.with_suffix(".json"), {"parity": [one.to_dict() for one in parities], "refuses": None})
    path.write_bytes(b"PK" + bytes(20))
    return path


def test_without_a_model_it_says_what_to_do(open_page: OpenPage) -> None:
    assert "There is no trained model yet. Train one first." in texts(open_page(PAGE))


def test_each_format_says_what_it_is_for(open_page: OpenPage, run: TrainingRun) -> None:
    page = open_page(PAGE, run=run.id)
    for export_format in list_formats():
        assert export_format.purpose in texts(page)
        assert page.button(key=f"make-{export_format.name}")
    assert [found.value for found in page.header] == [
        "Show it to anyone",
        "On a phone",
        "In Python",
        "On servers",
        "Others",
        "An address for other programs",
    ]
    assert [found.label for found in page.button if found.proto.type == "primary"] == ["Create the web page"]
    assert not downloads(page)
    assert "Not exported yet" in page.sidebar.caption[6].value


def test_what_was_made_can_be_downloaded_with_its_proof(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun
) -> None:
    export_run(page_workspace, run, "onnx")
    page = open_page(PAGE, run=run.id)
    assert "Answers like your model on 6 of 6 photos." in texts(page)
    (download,) = page.get("download_button")
    assert download.proto.label.startswith("Download (")
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
    assert "Answers like your model on 5 to 6 of 6 photos." in page.warning[0].value
    assert "You changed when it says" in texts(page)
    assert list(page.dataframe[0].value["Test"]) == ["passed", "not passed", "passed"]
    assert "These photos get another answer:" in texts(page)


def test_a_missing_package_is_named_where_it_is_needed(
    open_page: OpenPage, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExportFormat, "missing_packages", property(lambda one: [p for _m, p in one.needs]))
    page = open_page(PAGE, run=run.id)
    assert "pip install onnx tf2onnx onnxruntime" in texts(page)
    assert page.button(key="make-keras")
    assert not [found for found in page.button if found.key == "make-web"]


def test_the_web_page_says_what_it_downloads(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun
) -> None:
    page = open_page(PAGE, run=run.id)
    assert "downloads ONNX Runtime Web (33 MB), once." in texts(page)
    (caption,) = [found for found in page.caption if "downloads ONNX Runtime Web" in found.value]
    assert f"`{ONNX_RUNTIME_WEB.archive}` on another computer from {ONNX_RUNTIME_WEB.address}" in caption.help
    assert f"`{page_workspace.runtimes_dir}`" in caption.help
    (page_workspace.runtimes_dir / ONNX_RUNTIME_WEB.archive).write_bytes(b"put here by hand")
    assert "downloads ONNX Runtime Web" not in texts(open_page(PAGE, run=run.id))


def test_the_download_shows_its_bar_and_can_be_cancelled(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publishing(bytes(3_000_000)) as registry:
        registry.may_go_on.clear()
        monkeypatch.setenv(REGISTRY_VARIABLE, registry.url)
        page = open_page(PAGE, run=run.id)
        button(page, "Create the web page").click().run()
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
    assert button(page, "Create the web page")
    assert not page.error
    assert not list(page_workspace.runtimes_dir.iterdir())


def test_offline_it_is_one_sentence(open_page: OpenPage, run: TrainingRun) -> None:
    page = open_page(PAGE, run=run.id)
    button(page, "Create the web page").click().run()
    job = export_of(run, "web")
    assert job is not None
    assert job.wait(60)
    page.run()
    assert page.error[0].value.startswith("ONNX Runtime Web could not be downloaded")


def test_a_waiting_export_names_a_training_only_when_there_is_one(
    open_page: OpenPage, dataset: ImageDataset, run: TrainingRun, held_tasks: HeldTasks
) -> None:
    page = open_page(PAGE, run=run.id)
    page.button(key="make-keras").click().run()
    assert [found.proto.text for found in page.get("progress")] == ["Starting"]
    held_tasks.clear()
    submit(dataset)
    page.button(key="make-onnx").click().run()
    held_tasks.pop()()  # the preparation, which needs no model
    page.run()
    assert "Waiting for the training to end" in [found.proto.text for found in page.get("progress")]


def test_the_stage_of_an_export_is_on_its_bar(
    open_page: OpenPage, run: TrainingRun, held_tasks: HeldTasks
) -> None:
    page = open_page(PAGE, run=run.id)
    page.button(key="make-keras").click().run()
    task = export_of(run, "keras")
    assert task is not None
    task.report(TaskProgress("Testing the exported file", num_parts_done=1, num_parts=3))
    page.run()
    (bar,) = page.get("progress")
    assert (bar.proto.text, bar.proto.value) == ("Testing the exported file (step 2 of 3)", 33)


def stage_web_page(run: TrainingRun) -> None:
    path = bundle_path(run.folder, "web")
    proof = Parity("float32", 20, 6, 6, 4, 6, 0.0, 0.001, (), True)
    write_json(path.with_suffix(".json"), {"parity": [proof.to_dict()], "refuses": None})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("colors-web-page/index.html", "<h1>It sees colours</h1>")


@pytest.mark.parametrize(
    ("url", "in_network", "has_code"),
    [
        ("http://127.0.0.1:8501/Export", "", False),
        ("http://localhost:8501/Export", "", False),
        ("http://[::1]:8501/Export", "", False),
        ("http://192.168.1.20:8501/Export", "http://192.168.1.20:8501", True),
        ("http://127.0.0.1:8501/Export", "http://192.168.1.20:8501", True),
        ("https://school.example/Export", "", True),
    ],
)
def test_a_qr_code_is_shown_only_where_a_phone_reaches_the_page(
    open_page: OpenPage,
    run: TrainingRun,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    in_network: str,
    has_code: bool,
) -> None:
    stage_web_page(run)
    monkeypatch.setattr(ContextProxy, "url", url)
    monkeypatch.setenv(ADDRESS_VARIABLE, in_network)
    page = open_page(PAGE, run=run.id)
    codes = [found.proto.body for found in page.get("html") if 'class="share-code"' in found.proto.body]
    assert bool(codes) is has_code
    assert ("Phones cannot reach this server yet." in texts(page)) is not has_code
    if codes:
        assert f"/try/{run.id}" in codes[0] and "//127.0.0.1" not in codes[0]
        assert 'alt="QR code of http' in codes[0] and "data:image/svg+xml" in codes[0]
    (link,) = page.get("link_button")
    assert link.proto.url == url.replace("/Export", f"/try/{run.id}")
    assert downloads(page)[0].startswith("Download the page (")


def test_other_programs_are_let_in_with_a_key_that_is_shown_once(
    open_page: OpenPage, page_workspace: Workspace, run: TrainingRun
) -> None:
    page = open_page(PAGE, run=run.id)
    assert key_of(page_workspace, run.id) is None
    page.toggle[0].set_value(True).run()
    address, key, example = (found.value for found in page.code[:3])
    assert address.endswith(f"/api/models/{run.id}/predict")
    assert workspace_of_key(page_workspace, run.id, key) == page_workspace
    assert example == f'curl -H "Authorization: Bearer {key}" --data-binary @photo.jpg {address}'
    again = open_page(PAGE, run=run.id)
    assert key not in [found.value for found in again.code]
    again.button(key="new-key").click().run()
    assert workspace_of_key(page_workspace, run.id, key) is None
    again.toggle[0].set_value(False).run()
    assert key_of(page_workspace, run.id) is None
    assert not again.code
