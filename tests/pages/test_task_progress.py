"""How a page follows a task behind it: bar, stop, result, error."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.app.process import work_queue
from tests.pages.conftest import HeldTasks, button, texts
from transfer_core.errors import TrainingError
from transfer_core.training.features.feature_cache import FeaturesStoppedError
from transfer_core.work.task import Task, TaskProgress


class Work:
    """Ends as a test wants, and obeys a stop."""

    def __init__(self) -> None:
        self.num_done = 0
        self.error: Exception | None = None

    def __call__(self, task: Task[str]) -> str:
        self.num_done += 1
        if task.should_stop():
            raise FeaturesStoppedError
        if self.error:
            raise self.error
        return "88 % right"


def draw(work: object) -> None:
    """The script of a page with a part that waits for a task, and a part that does not."""
    import streamlit as st

    from pages.ui.app.page import guarded
    from pages.ui.app.process import work_queue
    from pages.ui.app.task_progress import result_of
    from transfer_core.work.task import Task

    def show() -> None:
        task = work_queue().get_or_start(Task("scoring", "run", work))
        st.markdown(result_of(task, "Looking at the photos …", name="score"))

    guarded(show)()
    st.markdown("The end.")


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def page(held_tasks: HeldTasks, work: Work) -> AppTest:
    return AppTest.from_function(draw, args=(work,)).run()


def bars(page: AppTest) -> list[tuple[str, int]]:
    return [(found.proto.text, found.proto.value) for found in page.get("progress")]


def test_bar_comes_first_and_the_result_when_it_is_there(
    page: AppTest, held_tasks: HeldTasks, work: Work
) -> None:
    assert bars(page) == [("Looking at the photos …", 0)]
    assert texts(page) == "The end."
    work_queue().find("scoring", "run").report(TaskProgress("", 6, 24))
    page.run()
    assert bars(page) == [("Looking at the photos …", 25)]
    held_tasks.carry_out()
    page.run()
    assert bars(page) == []
    assert texts(page) == "88 % right\nThe end."
    page.run()
    assert work.num_done == 1


def test_task_that_waits_says_so(held_tasks: HeldTasks, work: Work) -> None:
    work_queue().start(Task("audition", 1, lambda _task: None))
    work_queue().start(Task("scoring", "run", work))
    page = AppTest.from_function(draw, args=(work,)).run()
    assert bars(page) == [("Starting. A training that is under way goes first.", 0)]


def test_stopped_task_can_be_started_again(page: AppTest, held_tasks: HeldTasks, work: Work) -> None:
    page.button(key="stop-score").click().run()
    assert bars(page) == [("Stopping …", 0)]
    assert page.button(key="stop-score").disabled
    held_tasks.carry_out()
    page.run()
    assert "Stopped." in texts(page)
    button(page, "Start again").click().run()
    assert bars(page) == [("Looking at the photos …", 0)]
    held_tasks.carry_out()
    page.run()
    assert "88 % right" in texts(page)


def test_error_is_shown_and_the_next_drawing_tries_again(
    page: AppTest, held_tasks: HeldTasks, work: Work
) -> None:
    work.error = TrainingError("The disk is full.")
    held_tasks.carry_out()
    page.run()
    assert page.error[0].value == "The disk is full."
    work.error = None
    page.run()
    held_tasks.carry_out()
    page.run()
    assert not page.error
    assert "88 % right" in texts(page)
