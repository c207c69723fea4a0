"""Step 1: the model."""

from __future__ import annotations

from pathlib import Path

import pytest

import pages.ui.app.process
import pages.ui.app.tasks
from pages.ui.app.process import work_queue
from pages.ui.app.tasks import audition_of, forget_audition, start_audition
from pages.ui.model.choice import ALL_MODELS_KEY
from tests.pages.conftest import HeldTasks, OpenPage, StagedRuns, submit, texts
from transfer_core.backbones.backbone import Backbone
from transfer_core.backbones.own.exchange import export_source
from transfer_core.backbones.registry import get_backbone, list_backbones
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WeightsError
from transfer_core.evaluation.audition import AuditionScore
from transfer_core.events import RunEnded, RunStarted
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.own_models import make_source
from transfer_core.runs.training_run import EVENTS_FILE, TrainingRun
from transfer_core.training.classifier import build_classifier
from transfer_core.training.freezing import FreezePlan
from transfer_core.work.task import Task, TaskProgress
from transfer_core.workspace import Workspace


def shown_models(page) -> list[str]:
    """The names of the models in the list of all."""
    keys = [str(found.key) for found in page.button]
    return [key.removeprefix("look-at-") for key in keys if key.startswith("look-at-")]


def open_list(page) -> None:
    """Unfold the list of all models, which is drawn only then."""
    page.session_state[ALL_MODELS_KEY] = True
    page.run()


def test_the_recommended_model_is_one_card_and_the_well_known_lead_the_others(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    assert [found.value for found in page.header] == ["EfficientNet-Lite0"]
    assert page.button(key="use-card").label == "Use this model"
    shown = texts(page)
    assert "tiny" not in shown.lower()
    for words in ("Fast", "Works offline: its 19 MB are on this computer.", "Names 75\u00a0% of photos"):
        assert words in shown
    rows = [str(found.key).removeprefix("details-") for found in page.button if "details-" in str(found.key)]
    assert rows == [
        "card",
        *("vgg16", "resnet50", "inception_v3", "mobilenet_v2"),
        *("efficientnet_lite1", "efficientnet_lite2"),
    ]
    assert page.button(key="get-resnet50").label == "Download, 94 MB"
    assert not shown_models(page)


def test_choosing_a_model_is_remembered_in_the_address_and_leads_on(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    assert not [found for found in page.button if found.label.startswith("Next")]
    page.button(key="use-efficientnet_lite1").click().run()
    assert page.query_params["model"] == "efficientnet_lite1"
    assert page.button(key="use-card").label == "Chosen"
    assert [found.value for found in page.header] == ["EfficientNet-Lite1"]
    page.button(key="next-IMAGES").click().run()
    assert page.title[0].value == "2 · Images"


def test_another_model_forgets_the_depth_chosen_for_the_first(open_page: OpenPage) -> None:
    page = open_page("1_Model", model="efficientnet_lite0", unfrozen=3)
    page.button(key="use-efficientnet_lite2").click().run()
    assert "unfrozen" not in page.query_params


def test_a_made_up_address_is_ignored(open_page: OpenPage) -> None:
    page = open_page("1_Model", model="../../etc", images="../..", run="x' OR 1", unfrozen=-4)
    assert dict(page.query_params) == {}
    assert "Not chosen yet" in texts(page)


def test_every_published_model_is_listed_and_search_and_filters_narrow_the_list(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    open_list(page)
    assert shown_models(page) == [backbone.name for backbone in list_backbones()]
    page.text_input(key="model-search").set_value("res net").run()
    assert shown_models(page)[:2] == ["resnet50", "resnet101"]
    page.text_input(key="model-search").set_value("").run()
    page.button_group(key="model-wishes").set_value(["small", "accurate"]).run()
    assert shown_models(page) == ["efficientnet_b2", "efficientnet_v2_b2"]


def test_download_shows_its_bar_and_can_be_cancelled(open_page: OpenPage, held_tasks: HeldTasks) -> None:
    job = work_queue().start(Task("download", "resnet50", lambda _task: None, lane="light"))
    job.report(TaskProgress("ResNet50", 47_000_000, 94_000_000))
    page = open_page("1_Model")
    (bar,) = page.get("progress")
    assert bar.proto.value == 50
    assert bar.proto.text == "Downloading ResNet50: 47 of 94 MB"
    page.button(key="stop-download-resnet50").click().run()
    assert job.should_stop()


def test_failed_download_is_shown_until_it_is_dismissed(open_page: OpenPage) -> None:
    def fail(_task: Task[None]) -> None:
        raise WeightsError("The server is *down*.")

    assert work_queue().start(Task("download", "resnet50", fail, lane="light")).wait(60)
    page = open_page("1_Model")
    assert page.error[0].value == r"The server is \*down\*."
    page.button(key="dismiss-resnet50").click().run()
    assert not page.error


def test_audition_needs_images(open_page: OpenPage) -> None:
    assert "Add photos first; then you can compare models here." in texts(open_page("1_Model"))


def scores(*rows: tuple[str, float, float]) -> list[AuditionScore]:
    return [
        AuditionScore(name, (mean - 0.02, mean, mean + 0.02), seconds, 20.0, 100)
        for name, mean, seconds in rows
    ]


def test_audition_from_the_start_to_the_choice(
    open_page: OpenPage, dataset: ImageDataset, monkeypatch, held_tasks: HeldTasks
) -> None:
    tried: list[str] = []
    found = scores(("efficientnet_lite0", 0.90, 1.2), ("efficientnet_lite1", 0.89, 2.4))

    def stand_in(
        _workspace: Workspace, dataset: ImageDataset, backbones: list[Backbone]
    ) -> Task[list[AuditionScore]]:
        tried.extend(backbone.name for backbone in backbones)
        return Task("audition", (dataset.id, dataset.version), lambda _task: found)

    monkeypatch.setattr("transfer_core.work.service.audition_task", stand_in)
    page = open_page("1_Model", images=dataset.id)
    page.button(key="start-audition").click().run()
    job = audition_of(dataset)
    assert job is not None
    job.report(TaskProgress("EfficientNet-Lite1", 6, 24, 1, 2))
    page.run()
    assert tried == ["efficientnet_lite0", "efficientnet_lite1"]
    (bar,) = page.get("progress")
    assert bar.proto.value == 62
    assert bar.proto.text == "EfficientNet-Lite1: 6 of 24 photos"
    page.button(key="stop-audition").click().run()
    assert job.should_stop()
    held_tasks.carry_out()
    page.run()
    assert "Best trade-off: EfficientNet-Lite0" in texts(page)
    table = page.dataframe[0].value
    assert list(table.iloc[0]) == ["EfficientNet-Lite0 ★", "90.0\u00a0% ± 2.0\u00a0%", "1 s", "20 MB"]
    assert len(page.get("plotly_chart")) == 1
    page.button(key="use-best").click().run()
    assert page.query_params["model"] == "efficientnet_lite0"
    page.button(key="new-audition").click().run()
    assert page.button(key="start-audition")


def test_an_audition_that_is_under_way_is_not_started_over(
    dataset: ImageDataset, held_tasks: HeldTasks
) -> None:
    start_audition(dataset, [get_backbone("tiny_random")])
    job = audition_of(dataset)
    assert job is not None
    start_audition(dataset, [get_backbone("efficientnet_lite0")])
    forget_audition(dataset)
    assert audition_of(dataset) is job
    # On images that have changed it is of no use any more, and no page shows a way to stop it.
    changed = dataset.without([dataset.images[0].id]).save()
    start_audition(changed, [get_backbone("tiny_random")])
    assert job.should_stop()
    assert audition_of(changed) not in (None, job)
    held_tasks.carry_out()
    start_audition(dataset, [get_backbone("tiny_random")])
    assert audition_of(dataset) not in (None, job)


@pytest.fixture
def finished(page_workspace: Workspace, dataset: ImageDataset) -> TrainingRun:
    """A run with a model, without the training."""
    config = TrainingConfig(backbone="tiny_random")
    run = TrainingRun.create(page_workspace, dataset, config)
    log = EventLog(run.folder / EVENTS_FILE)
    log.append(RunStarted(100.0, 19, 5, 1))
    log.append(RunEnded(101.0, "finished", best_epoch=1))
    build_classifier(FreezePlan(get_backbone("tiny_random")), 3, config).save(run.folder / "model.keras")
    return run


def test_own_run_is_built_on_with_its_lineage_shown(open_page: OpenPage, finished: TrainingRun) -> None:
    page = open_page("1_Model")
    assert "colors ← Tiny network for tests ← random weights" in texts(page)
    page.button(key=f"build-on-{finished.id}").click().run()
    assert page.query_params["model"] == finished.id
    assert page.header[0].value == "colors"
    assert page.button(key="use-card").label == "Chosen"
    assert page.button(key=f"use-{finished.id}").label == "Chosen"
    # A refresh finds it again.
    assert open_page("1_Model", model=finished.id).header[0].value == "colors"


def test_model_of_another_computer_is_taken_in_and_others_are_refused(
    open_page: OpenPage, finished: TrainingRun, page_workspace: Workspace, tmp_path: Path
) -> None:
    open_page()
    make_source(page_workspace, finished.id)
    export_source(page_workspace, finished.id, tmp_path / "colors.zip")
    page = open_page("1_Model")
    page.file_uploader[0].set_value(("bad.zip", b"PK not a zip", "application/zip")).run()
    assert "can carry code" in page.error[0].value
    content = (tmp_path / "colors.zip").read_bytes()
    page.file_uploader[0].set_value(("colors.zip", content, "application/zip")).run()
    assert not page.error
    assert len(page_workspace.source_ids()) == 2
    assert page.query_params["model"] in page_workspace.source_ids()


def test_an_own_model_is_deleted_and_had_back(open_page: OpenPage, finished: TrainingRun) -> None:
    page = open_page("1_Model")
    page.button(key=f"build-on-{finished.id}").click().run()
    page.button(key=f"delete-source-{finished.id}").click().run()
    assert "Your own model was deleted." in texts(page)
    assert "model" not in page.query_params
    # The run can be built on again, so nothing else is lost.
    assert page.button(key=f"build-on-{finished.id}")
    page.button(key="undo-delete-source").click().run()
    assert "Your own model was deleted." not in texts(page)
    assert page.query_params["model"] == finished.id


def test_an_own_model_that_is_needed_stays(
    open_page: OpenPage, finished: TrainingRun, staged_runs: StagedRuns
) -> None:
    page = open_page("1_Model")
    page.button(key=f"build-on-{finished.id}").click().run()
    dataset = ImageDataset.load(pages.ui.app.process.workspace(), finished.dataset_id)
    submit(dataset, backbone=finished.id)
    page.button(key=f"delete-source-{finished.id}").click().run()
    message = page.error[0].value
    assert "1 other model builds on this one" in message and "colors · 20" in message
    assert page.button(key=f"use-{finished.id}").label == "Chosen"


def test_details_of_the_model_on_the_card_are_drawn_beside_it(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    page.button(key="details-card").click().run()
    assert not page.exception
    assert "Licence of the weights" in texts(page)
