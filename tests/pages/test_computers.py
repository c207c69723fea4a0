"""On which computer of a cluster a training runs, on every page that shows one."""

from __future__ import annotations

import pytest
from msgspec import structs

import pages.ui.app.process
from tests.conftest import TrainOnce
from tests.pages.conftest import LAB_3, LAB_4, TINY, OpenPage, StagedCluster, StagedRuns, submit, texts
from tests.pages.test_classroom import Cookies, cards, cookies, open_part, pupils
from tests.pages.test_train import bars
from transfer_core.classroom.people import Person
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.events import ImagesSeen, PhaseStarted, PlaceLost, RunEnded, RunResumed, TrainingEvent
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_folder import EVENTS_FILE
from transfer_core.runs.sweep_plan import SweepPlan
from transfer_core.work.sweep_queue import start_sweep
from transfer_core.workspace import Workspace

__all__ = ["cookies", "pupils"]

DIFFER = "The computers differ, so its numbers may differ in the last digits."
WAITS = "Waits for a computer of the cluster."
GO_ON = RunResumed(0.0, 2)
TWIN = structs.replace(LAB_4, processor=LAB_3.processor)


@pytest.fixture
def run_id(dataset: ImageDataset, cluster: StagedCluster) -> str:
    """A run half way on lab-3."""
    run_id = submit(dataset, backbone="tiny_random")
    cluster.wait_half_way()
    return run_id


def test_train_page_says_where_a_training_runs(open_page: OpenPage, run_id: str) -> None:
    page = open_page("4_Train", run=run_id)
    assert "Runs on lab-3." in texts(page)
    assert DIFFER not in texts(page)
    assert bars(page) == ["Training the new layer"]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([PlaceLost(0.0, "node"), LAB_4, GO_ON], f"Moved to lab-4 because lab-3 does not answer. {DIFFER}"),
        ([PlaceLost(0.0, "node"), TWIN, GO_ON], "Moved to lab-4 because lab-3 does not answer."),
        (
            [PlaceLost(0.0, "worker"), TWIN, GO_ON],
            "Moved to lab-4 because it ended unexpectedly on lab-3.",
        ),
        ([PlaceLost(0.0, "worker"), LAB_3, GO_ON], "Runs on lab-3 again after it ended there unexpectedly."),
        (
            [PlaceLost(0.0, "cluster"), TWIN, GO_ON],
            "Runs on lab-4 again after the cluster did not answer for a while.",
        ),
        # The app was started again since.
        ([PlaceLost(0.0, "node"), LAB_4, GO_ON, TWIN, GO_ON], f"Runs on lab-4. {DIFFER}"),
    ],
)
def test_train_page_says_why_a_training_moved(
    open_page: OpenPage, run_id: str, cluster: StagedCluster, events: list[TrainingEvent], sentence: str
) -> None:
    cluster.emit(run_id, *events)
    page = open_page("4_Train", run=run_id)
    (line,) = [caption.value for caption in page.main.caption if "lab-" in caption.value]
    assert line.split(": ", 1)[1].strip() == sentence


def test_training_that_moved_starts_and_reads_its_photos_on_the_other_computer(
    open_page: OpenPage, run_id: str, cluster: StagedCluster
) -> None:
    cluster.emit(run_id, PlaceLost(0.0, "node"), LAB_4)
    assert bars(open_page("4_Train", run=run_id)) == ["Starting; the first time takes a little longer"]
    cluster.emit(run_id, GO_ON, PhaseStarted(0.0, "features", num_steps=24), ImagesSeen(0.0, 8))
    assert bars(open_page("4_Train", run=run_id)) == ["Reading your photos"]


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("node", "lab-3 does not answer."),
        ("worker", "The training ended unexpectedly on lab-3."),
        ("cluster", "The cluster does not answer."),
    ],
)
def test_training_that_lost_its_computer_waits_for_another(
    open_page: OpenPage, run_id: str, cluster: StagedCluster, reason: str, sentence: str
) -> None:
    cluster.emit(run_id, PlaceLost(0.0, reason))
    page = open_page("4_Train", run=run_id)
    assert sentence in texts(page)
    assert bars(page) == [WAITS]
    (left,) = [metric.value for metric in page.metric if metric.label == "Time left"]
    assert left == "–"
    assert f"colors: {WAITS}" in bars(open_page("1_Model", run=run_id))


def test_training_without_any_computer_can_leave_the_queue(
    open_page: OpenPage, dataset: ImageDataset, cluster: StagedCluster
) -> None:
    cluster.size = 0
    run_id = submit(dataset, backbone="tiny_random")
    page = open_page("4_Train", run=run_id)
    assert bars(page) == [f"{WAITS} Yours starts by itself."]
    assert page.button(key="stop").label == "Leave the queue"
    assert WAITS in "".join(bars(open_page("", run=run_id)))


def test_who_can_change_it_reads_why_the_cluster_does_not_answer(
    open_page: OpenPage,
    server: Workspace,
    dataset: ImageDataset,
    cluster: StagedCluster,
    cookies: Cookies,
    pupils: list[Person],
) -> None:
    cluster.size, cluster.problem = 0, "The token of the cluster is wrong."
    cluster.nodes.clear()
    cookies.be_pupil(server, pupils[0])
    workspace = server.person(pupils[0].id)
    photos = ImageDataset.load(workspace, *workspace.dataset_ids())
    page = open_page("4_Train", run=submit(photos, backbone="tiny_random"))
    assert bars(page) == [f"{WAITS} Yours starts by itself."]
    assert cluster.problem not in texts(page)
    cookies.be_teacher(server)
    run_id = submit(dataset, backbone="tiny_random")
    for name in ("4_Train", ""):
        # Below the bar and among the computers.
        assert texts(open_page(name, run=run_id)).count(cluster.problem) == 2


def test_sidebar_shows_the_trainings_of_the_person_each_with_its_computer(
    open_page: OpenPage, dataset: ImageDataset, cluster: StagedCluster
) -> None:
    ids = [submit(dataset, backbone="tiny_random") for _number in range(5)]
    cluster.wait_half_way(5)
    cluster.emit(ids[1], PlaceLost(0.0, "node"), LAB_4, GO_ON)
    cluster.emit(ids[2], PlaceLost(0.0, "node"))
    page = open_page("1_Model")
    shown = [caption.value for caption in page.sidebar.caption]
    assert [state for state in shown if state.startswith(("Training now", "Waiting"))] == [
        "Training now\u00a0·\u00a0lab-3",
        "Training now\u00a0·\u00a0lab-4",
        "Waiting for its turn",
    ]
    assert "2 more trainings now" in shown
    assert bars(page)[2] == f"colors: {WAITS}"
    page.button(key=f"look-at-{ids[1]}").click().run()
    assert page.query_params["run"] == ids[1]
    # Its own page shows that run larger.
    page = open_page("4_Train", run=ids[1])
    shown = [caption.value for caption in page.sidebar.caption]
    assert "1 more training now" in shown
    assert "Training now\u00a0·\u00a0lab-4" not in shown


def test_a_training_on_this_computer_names_none(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns
) -> None:
    run_id = submit(dataset, backbone="tiny_random")
    assert staged_runs.reached_half_way.wait(30)
    for name in ("4_Train", "1_Model"):
        page = open_page(name, run=run_id)
        assert "Runs on" not in texts(page)
        assert not [found for found in page.expander if found.label == "Computers"]


@pytest.mark.parametrize(
    ("events", "sentence"),
    [
        ([], "Trained on lab-3."),
        ([PlaceLost(0.0, "node"), TWIN, GO_ON], "Trained on lab-3, lab-4, one after the other."),
        ([PlaceLost(0.0, "node"), LAB_4, GO_ON], f"Trained on lab-3, lab-4, one after the other. {DIFFER}"),
        ([PlaceLost(0.0, "worker"), LAB_3, GO_ON], "Trained on lab-3."),
    ],
)
def test_results_say_where_a_model_was_trained(
    open_page: OpenPage,
    dataset: ImageDataset,
    page_workspace: Workspace,
    train_once: TrainOnce,
    events: list[TrainingEvent],
    sentence: str,
) -> None:
    run = train_once(page_workspace, dataset, TINY)
    assert "Trained on" not in texts(open_page("5_Results", run=run.id))
    log = EventLog(run.folder / EVENTS_FILE)
    now = run.snapshot().updated_at
    for event in (LAB_3, *events, RunEnded(now, "finished", best_epoch=1, accuracy=0.5)):
        log.append(structs.replace(event, time=now))
    for name in ("5_Results", "4_Train"):
        page = open_page(name, run=run.id)
        (line,) = [caption.value for caption in page.main.caption if "Trained on" in caption.value]
        assert line.split(": ", 1)[1].strip() == sentence


def test_computers_are_listed_with_cores_trainings_and_problems(open_page: OpenPage, run_id: str) -> None:
    page = open_page("1_Model")
    (expander,) = [found for found in page.sidebar.expander if found.label == "Computers"]
    assert [found.value for found in expander.markdown] == [
        "**lab-3** · 4 cores",
        "**lab-4** · 8 cores, 1 graphics card",
        "**lab\\_5** · 4 cores",
    ]
    assert [found.value for found in expander.caption] == [
        "1 training now",
        "no training now",
        ":material/warning: Its version of the app is 0.9, and 1.0 is needed.",
    ]


def test_a_cluster_that_does_not_answer_has_no_computers(open_page: OpenPage, cluster: StagedCluster) -> None:
    cluster.nodes.clear()
    (expander,) = [found for found in open_page().sidebar.expander if found.label == "Computers"]
    assert [found.value for found in expander.caption] == ["No computer of the cluster answers yet."]


def test_teacher_sees_all_computers_and_pupils_only_that_of_their_training(
    open_page: OpenPage,
    server: Workspace,
    cluster: StagedCluster,
    cookies: Cookies,
    pupils: list[Person],
) -> None:
    cookies.be_pupil(server, pupils[0])
    (dataset_id,) = server.person(pupils[0].id).dataset_ids()
    dataset = ImageDataset.load(server.person(pupils[0].id), dataset_id)
    pages.ui.app.process.service().trainings(server.person(pupils[0].id)).submit(
        dataset, TrainingConfig(backbone="tiny_random")
    )
    cluster.wait_half_way()
    page = open_page("1_Model")
    assert "Training now\u00a0·\u00a0lab-3" in [caption.value for caption in page.sidebar.caption]
    assert not [found for found in page.expander if found.label == "Computers"]
    cookies.be_teacher(server)
    page = open_page("11_Class")
    assert cards(page)["Mia"]["stage"] == "Training the new layer\u00a0·\u00a0lab-3"
    open_part(page, "Queue")
    assert [found.label for found in page.expander] == ["Computers"] * 2
    assert any("Training the new layer\u00a0·\u00a0lab-3" in text for text in bars(page))
    (run_id,) = server.person(pupils[0].id).run_ids()
    cluster.emit(run_id, PlaceLost(0.0, "node"))
    page.run()
    assert any(text == WAITS for text in bars(page))
    page = open_page("11_Class")
    assert cards(page)["Mia"]["stage"] == WAITS


def test_quick_start_names_the_computer(open_page: OpenPage, run_id: str, cluster: StagedCluster) -> None:
    page = open_page("", run=run_id)
    assert any(text.startswith("Training the new layer\u00a0·\u00a0lab-3 · about ") for text in bars(page))
    cluster.emit(run_id, PlaceLost(0.0, "cluster"))
    assert WAITS in bars(open_page("", run=run_id))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Your photos go only to the computers of the cluster."),
        ("2_Images", "Trainings copy them to the computers of the cluster."),
        ("9_Learn", "Trainings copy them to the computers of the cluster, and they go nowhere else."),
        ("12_Your_data", "Deleting photos here does not delete those copies."),
    ],
)
def test_nobody_reads_that_photos_stay_on_this_computer(
    open_page: OpenPage, cluster: StagedCluster, name: str, sentence: str
) -> None:
    shown = texts(open_page(name))
    assert sentence in shown
    assert not any(words in shown for words in ("stay on this computer", "Everything stays", "never leave"))


def test_a_cluster_of_this_computer_alone_keeps_photos_here(
    open_page: OpenPage, cluster: StagedCluster
) -> None:
    cluster.is_on_this_computer = True
    assert "Everything stays on this computer." in texts(open_page(""))


def test_a_comparison_of_depths_says_how_many_run_at_once(
    open_page: OpenPage, dataset: ImageDataset, page_workspace: Workspace, cluster: StagedCluster
) -> None:
    config = TrainingConfig(backbone="tiny_random")
    plan = SweepPlan.of(dataset, config, [0, 1, 2], 1)
    cluster.size = 2
    start_sweep(pages.ui.app.process.trainings(), dataset, config, plan)
    cluster.wait_half_way(2)
    assert "0 of 3 trainings done · 2 run now" in bars(open_page("8_Compare", view="depths"))


def test_both_runs_of_a_race_are_shown_at_once(
    open_page: OpenPage, dataset: ImageDataset, cluster: StagedCluster
) -> None:
    submit(dataset, backbone="tiny_random", weights="random", num_unfrozen_blocks=3)
    cluster.size = 1
    cluster.wait_half_way()
    submit(dataset, backbone="tiny_random")
    shown = [text for text in bars(open_page("9_Learn")) if text.startswith(("from", "pretrained"))]
    assert shown == ["from scratch: Training the new layer\u00a0·\u00a0lab-3"]
    cluster.size = 2
    pages.ui.app.process.work_queue().begin_waiting()
    cluster.wait_half_way()
    shown = [text for text in bars(open_page("9_Learn")) if text.startswith(("from", "pretrained"))]
    assert shown == [
        f"{name}: Training the new layer\u00a0·\u00a0lab-3" for name in ("from scratch", "pretrained")
    ]
