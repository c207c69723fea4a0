"""The Class page: the board for the teacher, a sentence for everyone else, and what each action changes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

import pages.ui.app.process
from pages.ui.server.attendance import attendance
from tests.pages.conftest import OpenPage, StagedRuns, button, texts
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.handout import hand_out
from transfer_core.classroom.people import Person, join, people
from transfer_core.classroom.visitor import COOKIE, Visitor, cookie_of_person, cookie_of_teacher, visitor_of
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.workspace import Workspace

PAGE = "11_Class"


class Cookies(dict[str, str]):
    """Of the browser in front of the page."""

    def be_teacher(self, server: Workspace) -> None:
        facts = Classroom(server).facts()
        self[COOKIE] = str(cookie_of_teacher(facts, facts.teacher_key))

    def be_pupil(self, server: Workspace, person: Person) -> None:
        self[COOKIE] = cookie_of_person(Classroom(server).facts(), person.id)


@pytest.fixture
def cookies(monkeypatch: pytest.MonkeyPatch) -> Cookies:
    found = Cookies()
    monkeypatch.setattr(ContextProxy, "cookies", found)
    monkeypatch.setattr(ContextProxy, "url", "http://192.168.1.20:8501/Class")
    return found


@pytest.fixture
def teacher(cookies: Cookies, page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Cookies:
    monkeypatch.setenv(CLASS_VARIABLE, "1")
    cookies.be_teacher(page_workspace)
    return cookies


@pytest.fixture
def pupils(page_workspace: Workspace, image_folder) -> Iterator[list[Person]]:
    """Mia has photos, Ben has none."""
    found = [join(page_workspace, name) for name in ("Mia", "B*e*n")]
    add_files(create_dataset(page_workspace.person(found[0].id), "colors"), folder_source(image_folder))
    yield found
    for person in found:
        for _page in range(5):
            if attendance.is_here(person.id):
                attendance.leave(person.id)


def cards(page: AppTest) -> dict[str, dict[str, object]]:
    """The data of each card on the board, by the pupil's name."""
    (board,) = [found for found in page.get("bidi_component") if "class_board" in found.proto.component_name]
    return {card["name"]: card for card in json.loads(board.proto.json)["cards"]}


def links(page: AppTest) -> list[str]:
    return [link.label for link in page.get("page_link")]


def open_part(page: AppTest, name: str) -> AppTest:
    page.get("button_group")[0].set_value(name).run()
    assert not page.exception, page.exception
    return page


@pytest.mark.usefixtures("cookies")
def test_at_home_it_says_how_to_begin_a_class(open_page: OpenPage) -> None:
    page = open_page(PAGE)
    assert "There is no class on this server." in texts(page)
    assert "start.py --class" in texts(page)
    assert "Your class" not in links(page)


@pytest.mark.usefixtures("teacher")
def test_pupils_get_a_sentence_and_no_link(
    open_page: OpenPage, page_workspace: Workspace, pupils: list[Person], cookies: Cookies
) -> None:
    cookies.be_pupil(page_workspace, pupils[0])
    page = open_page(PAGE, show=pupils[1].id)
    assert "Only your teacher can open this page." in texts(page)
    assert "Your class" not in links(page)
    assert not page.get("bidi_component")
    facts = Classroom(page_workspace).facts()
    assert not any(facts.code in found.proto.body for found in page.get("html"))


@pytest.mark.usefixtures("teacher")
def test_an_empty_class_shows_how_to_get_in(open_page: OpenPage, page_workspace: Workspace) -> None:
    page = open_page(PAGE)
    code = Classroom(page_workspace).facts().code
    strip = next(found.proto.body for found in page.get("html") if "class-code" in found.proto.body)
    assert f">{code}<" in strip and ">192.168.1.20:8501<" in strip and "data:image/svg+xml" in strip
    assert "Nobody is here yet." in texts(page)
    assert "Your class" in links(page)
    page.button(key="show-code").click().run()
    assert page.query_params["show"] == "code"
    assert any("class-large" in found.proto.body for found in page.get("html"))
    page.button(key="close-projector").click().run()
    assert "show" not in page.query_params


@pytest.mark.usefixtures("teacher")
def test_each_pupil_has_a_card(open_page: OpenPage, pupils: list[Person]) -> None:
    attendance.enter(pupils[0].id)
    page = open_page(PAGE)
    assert "1 of 2 pupils here now" in texts(page)
    found = cards(page)
    assert list(found) == ["Mia", "B*e*n"]
    assert (found["Mia"]["when"], found["Mia"]["is_here"]) == ("here", True)
    assert found["Mia"]["counts"] == "24 photos in 3 classes"
    assert len(found["Mia"]["photos"]) == 4
    assert (found["B*e*n"]["when"], found["B*e*n"]["counts"]) == ("away", "No photos yet")
    attendance.leave(pupils[0].id)
    assert cards(page.run())["Mia"]["when"].startswith("away since ")


@pytest.mark.usefixtures("teacher")
def test_the_queue_names_everybody_and_the_teacher_stops_and_moves(
    open_page: OpenPage, page_workspace: Workspace, pupils: list[Person], staged_runs: StagedRuns
) -> None:
    service = pages.ui.app.process.service()
    place = page_workspace.person(pupils[0].id)
    dataset = ImageDataset.load(place, place.dataset_ids()[0])
    mine = service.trainings(place)
    config = TrainingConfig(backbone="tiny_random")
    first, second, third = (mine.submit(dataset, config) for _ in "abc")
    assert staged_runs.reached_half_way.wait(60)
    page = open_page(PAGE)
    assert cards(page)["Mia"]["stage"] and cards(page)["Mia"]["share"] > 0
    shown = open_page(PAGE, show=pupils[0].id)
    assert len(shown.get("echarts_chart")) == 1 and shown.get("progress")
    open_part(page, "queue")
    assert texts(page).count("**Mia** · colors") == 3
    page.button(key=f"queue-first-{third}").click().run()
    order = [task.live.run.id for task in service.queue.in_order("training")]
    assert order == [first, third, second]
    page.button(key=f"queue-stop-{second}").click().run()
    assert mine.status(second) == "stopped"
    mine.request_stop(third)


@pytest.mark.usefixtures("teacher")
def test_the_work_of_a_pupil_is_shown_without_anything_to_change(
    open_page: OpenPage, page_workspace: Workspace, pupils: list[Person]
) -> None:
    page = open_page(PAGE, show=pupils[0].id)
    assert page.title[-1].value == "Mia"
    assert [found.key for found in page.button if found.key and "person" not in found.key] == [
        "close-projector"
    ]
    page.toggle(key="hide-name").set_value(True).run()
    assert page.title[-1].value == "Somebody's work"
    strips = next(found.proto.body for found in page.get("html") if "pupil-strips" in found.proto.body)
    assert strips.count("<img") == 24 and f"/class-photo/{pupils[0].id}/" in strips


@pytest.mark.usefixtures("teacher")
def test_the_teacher_lets_a_pupil_in_again(open_page: OpenPage, pupils: list[Person]) -> None:
    page = open_page(PAGE)
    page.session_state["session"].opened_person_id = pupils[1].id
    page.run()
    assert r"Photos of B\*e\*n" in texts(page)
    page.button(key="pupil-device").click().run()
    (code,) = [found.proto.body for found in page.get("html") if 'class="share-code"' in found.proto.body]
    assert "http://192.168.1.20:8501/join/" in code


@pytest.mark.usefixtures("teacher")
def test_a_name_is_never_markdown(open_page: OpenPage, pupils: list[Person]) -> None:
    assert open_page(PAGE, show=pupils[1].id).title[-1].value == r"B\*e\*n"


@pytest.mark.usefixtures("teacher", "tasks_at_once")
def test_photos_are_handed_out(
    open_page: OpenPage, page_workspace: Workspace, pupils: list[Person], dataset: ImageDataset
) -> None:
    page = open_part(open_page(PAGE), "handing")
    page.multiselect(key="handed-to").select(pupils[1].id).run()
    page.button(key="hand-out").click().run()
    assert "1 pupil got a copy." in texts(page)
    place = page_workspace.person(pupils[1].id)
    assert [ImageDataset.load(place, found).name for found in place.dataset_ids()] == [
        "colors (from your teacher)"
    ]
    assert len(page_workspace.person(pupils[0].id).dataset_ids()) == 1


@pytest.mark.usefixtures("teacher")
def test_a_pupil_opens_what_the_teacher_handed_out(
    open_page: OpenPage,
    page_workspace: Workspace,
    pupils: list[Person],
    dataset: ImageDataset,
    cookies: Cookies,
) -> None:
    hand_out(page_workspace, dataset.id, [pupils[0].id], with_models=False)
    assert not [found for found in open_page().button if "your teacher" in found.label]
    cookies.be_pupil(page_workspace, pupils[0])
    page = open_page()
    button(page, "colors (from your teacher)").click().run()
    (copy,) = (
        found
        for found in page_workspace.person(pupils[0].id).dataset_ids()
        if ImageDataset.load(page_workspace.person(pupils[0].id), found).name.endswith("teacher)")
    )
    assert page.query_params["images"] == copy
    assert not [found for found in page.button if "your teacher" in found.label]


@pytest.mark.usefixtures("teacher", "tasks_at_once", "pupils")
def test_projects_are_collected(open_page: OpenPage) -> None:
    page = open_part(open_page(PAGE), "collecting")
    page.button(key="collect").click().run()
    assert "1 project is in the file." in texts(page)
    assert r"- B\*e\*n: No photos yet." in texts(page)
    (link,) = page.get("link_button")
    assert link.proto.url.startswith("http://192.168.1.20:8501/collect/")


@pytest.mark.usefixtures("teacher", "pupils")
def test_settings_are_kept(open_page: OpenPage, page_workspace: Workspace) -> None:
    before = Classroom(page_workspace).facts()
    page = open_part(open_page(PAGE), "settings")
    assert "recognising emotions in schools is forbidden" in texts(page)
    fields = {field.label: field for field in page.number_input}
    fields["Photos"].set_value(50)
    fields["Days until the class is deleted (0: never)"].set_value(7)
    button(page, "Save").click().run()
    after = Classroom(page_workspace).facts()
    assert (after.limits.photos, after.days_kept) == (50, 7)
    assert after.limits.waiting == before.limits.waiting and after.code == before.code
    page.button(key="new-code").click().run()
    assert Classroom(page_workspace).facts().code != before.code
    page.button(key="open-or-close").click().run()
    assert not Classroom(page_workspace).facts().is_open
    assert "The class is closed." in texts(page)


@pytest.mark.usefixtures("teacher", "tasks_at_once")
def test_everything_is_deleted_after_a_question(
    open_page: OpenPage, page_workspace: Workspace, pupils: list[Person]
) -> None:
    page = open_part(open_page(PAGE), "settings")
    page.button(key="ask-forget-class").click().run()
    page.button(key="removal-no").click().run()
    assert len(people(page_workspace)) == 2
    page.button(key="ask-forget-class").click().run()
    page.button(key="forget-class").click().run()
    assert not page.exception
    assert not list((page_workspace.root / "people").iterdir())
    key = Classroom(page_workspace).facts().teacher_key
    assert any(f"/teacher/{key}" in found.proto.body for found in page.get("html"))


@pytest.mark.usefixtures("teacher")
def test_rights_that_were_lost_meanwhile_count_at_once(
    open_page: OpenPage, page_workspace: Workspace, pupils: list[Person], cookies: Cookies
) -> None:
    page = open_part(open_page(PAGE), "settings")
    facts = Classroom(page_workspace).facts()
    cookies.be_pupil(page_workspace, pupils[0])
    page.button(key="new-code").click().run()
    assert Classroom(page_workspace).facts() == facts
    assert "Only your teacher can open this page." in texts(page)


@pytest.mark.usefixtures("teacher")
def test_cookie_is_verified_once_for_all_that_a_page_draws(
    open_page: OpenPage,
    page_workspace: Workspace,
    pupils: list[Person],
    cookies: Cookies,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cookies.be_pupil(page_workspace, pupils[0])
    verified = []

    def verify_it(server: Workspace, given: Cookies) -> Visitor | None:
        verified.append(given[COOKIE])
        return visitor_of(server, given)

    monkeypatch.setattr("pages.ui.app.process.visitor_of", verify_it)
    # A page that takes longer is verified again; a test must not depend on the computer.
    monkeypatch.setattr("pages.ui.app.process._SECONDS_A_VISITOR_IS_KNOWN", 60.0)
    page = open_page()
    assert "Mia" in texts(page)
    assert len(verified) == 1
    cookies.be_pupil(page_workspace, pupils[1])
    page.run()
    assert "Mia" not in texts(page)
