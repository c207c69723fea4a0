"""The messages of Streamlit's protocol that the classroom benchmark reads and sends."""

import json

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from benchmarks.classroom.report import percentile
from benchmarks.classroom.screen import FRAGMENT_DRAWN, PAGE_DRAWN, Screen

SIDEBAR, MAIN = 1, 0


def message(**parts: object) -> ForwardMsg:
    return ForwardMsg(**parts)


def begin(run: str) -> ForwardMsg:
    begun = ForwardMsg()
    begun.new_session.initialize.session_id = "session"
    begun.metadata.run.script_run_id = run
    return begun


def element(path: list[int], fragment_id: str = "") -> ForwardMsg:
    drawn = ForwardMsg()
    drawn.metadata.delta_path.extend(path)
    drawn.delta.fragment_id = fragment_id
    return drawn


def button(path: list[int], label: str, fragment_id: str = "") -> ForwardMsg:
    drawn = element(path, fragment_id)
    drawn.delta.new_element.button.label = label
    drawn.delta.new_element.button.id = f"id of {label}"
    return drawn


@pytest.fixture
def screen() -> Screen:
    drawn = Screen()
    drawn.take(begin("first"))
    link = element([SIDEBAR, 0])
    link.delta.new_element.page_link.label = "Images"
    link.delta.new_element.page_link.page_script_hash = "hash of Images"
    link.delta.new_element.page_link.query_string = "images=1"
    drawn.take(link)
    drawn.take(button([MAIN, 0], "Train"))
    drawn.take(button([MAIN, 1], "Pause", "fragment"))
    return drawn


def test_page_ends_when_its_script_has_ended(screen: Screen) -> None:
    assert screen.take(message(script_finished=PAGE_DRAWN)) == PAGE_DRAWN
    assert screen.take(message(script_finished=FRAGMENT_DRAWN)) == FRAGMENT_DRAWN
    assert screen.take(message(script_finished=ForwardMsg.FINISHED_EARLY_FOR_RERUN)) is None


def test_elements_that_a_run_does_not_draw_leave_the_page(screen: Screen) -> None:
    screen.take(begin("second"))
    screen.take(button([MAIN, 0], "Train again"))
    screen.take(message(script_finished=PAGE_DRAWN))
    assert screen.has_button("Train again")
    assert not screen.has_button("Pause")


def test_click_carries_the_trigger_and_the_fragment(screen: Screen) -> None:
    state = screen.press("Pause").rerun_script
    assert [(one.id, one.trigger_value) for one in state.widget_states.widgets] == [("id of Pause", True)]
    assert state.fragment_id == "fragment"
    assert not screen.press("Train").rerun_script.fragment_id
    with pytest.raises(LookupError):
        screen.press("Delete")


def test_link_leads_to_a_page_with_its_choices(screen: Screen) -> None:
    assert screen.names_of_pages() == ["Images"]
    state = screen.follow_link("Images").rerun_script
    assert (state.page_script_hash, state.query_string) == ("hash of Images", "images=1")
    assert screen.address == "images=1"


def test_large_messages_come_once(screen: Screen) -> None:
    large = button([MAIN, 2], "Large")
    large.hash, large.metadata.cacheable = "hash", True
    screen.take(large)
    assert "hash" in screen.request().rerun_script.cached_message_hashes
    screen.take(begin("second"))
    reference = ForwardMsg(ref_hash="hash")
    reference.metadata.delta_path.extend([MAIN, 0])
    screen.take(reference)
    screen.take(message(script_finished=PAGE_DRAWN))
    assert screen.has_button("Large")


def test_component_sends_a_trigger(screen: Screen) -> None:
    drawn = element([MAIN, 3], "cards")
    drawn.delta.new_element.bidi_component.component_name = "transfer_studio_class_cards"
    drawn.delta.new_element.bidi_component.id = "base"
    drawn.delta.new_element.bidi_component.json = '{"acknowledged": 2}'
    screen.take(drawn)
    assert screen.component_data("class_cards") == {"acknowledged": 2}
    state = screen.send_from_component("class_cards", "message", {"number": 3}).rerun_script
    (sent,) = [one for one in state.widget_states.widgets if one.json_trigger_value]
    assert sent.id.endswith("_base__events")
    assert json.loads(sent.json_trigger_value) == [{"event": "message", "value": {"number": 3}}]
    assert state.fragment_id == "cards"


def test_timers_end_with_their_page(screen: Screen) -> None:
    timer = ForwardMsg()
    timer.auto_rerun.fragment_id, timer.auto_rerun.interval = "fragment", 2.0
    screen.take(timer)
    assert screen.auto_reruns == {"fragment": 2.0}
    assert screen.tick("fragment").rerun_script.is_auto_rerun
    screen.take(begin("second"))
    assert not screen.auto_reruns


def test_percentile_is_a_measured_value() -> None:
    assert percentile(range(1, 101), 95) == 95
    assert percentile([3.0], 95) == 3.0
