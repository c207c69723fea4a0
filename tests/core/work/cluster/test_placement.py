"""Which node a run goes to."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from transfer_core.work.cluster.nodes import Need, Node
from transfer_core.work.cluster.placement import Placement

FOUR_CORES = Node("four", "four cores", "10.0.0.4", 4.0, memory=8_000)
ONE_CORE = Node("one", "one core", "10.0.0.1", 1.0, memory=2_000)


@pytest.fixture
def placement() -> Placement:
    placement = Placement()
    placement.update([ONE_CORE, FOUR_CORES])
    return placement


def test_runs_go_to_the_freest_node_until_none_holds_another(placement: Placement) -> None:
    nodes = [placement.reserve(number, Need(1.0, 1_000)) for number in range(6)]

    assert nodes[:5].count(FOUR_CORES) == 4
    assert nodes[:5].count(ONE_CORE) == 1
    assert nodes[5] is None
    assert placement.reserve(0, Need(1.0, 1_000)) == nodes[0]


def test_memory_limits_a_node_as_cores_do(placement: Placement) -> None:
    assert placement.reserve("a", Need(1.0, 7_500)) == FOUR_CORES
    assert placement.reserve("b", Need(1.0, 1_500)) == ONE_CORE
    assert placement.reserve("c", Need(1.0, 1_500)) is None
    assert placement.could_ever_hold(Need(4.0, 8_000))
    assert not placement.could_ever_hold(Need(1.0, 8_001))


def test_released_room_is_given_again(placement: Placement) -> None:
    for number in range(5):
        placement.reserve(number, Need())
    placement.release(2)
    placement.release(2)

    assert placement.reserved(2) is None
    assert placement.reserve("next", Need()) == FOUR_CORES
    assert placement.reserve("one more", Need()) is None


def test_a_run_returns_to_the_node_that_has_read_its_photos(placement: Placement) -> None:
    assert placement.reserve("a", Need(4.0), "others") == FOUR_CORES
    assert placement.reserve("b", Need(), "photos") == ONE_CORE
    placement.release("a")
    placement.release("b")

    assert placement.reserve("c", Need(), "photos") == ONE_CORE
    assert placement.reserve("d", Need(), "photos") == FOUR_CORES


def test_a_graphics_processor_is_taken_whole_and_first(placement: Placement) -> None:
    gpu = Node("gpu", "gpu", "10.0.0.9", 2.0, num_gpus=1.0)
    placement.update([ONE_CORE, FOUR_CORES, gpu])

    assert placement.reserve("a", Need()) == gpu
    assert placement.reserved("a") == (gpu, Need(num_gpus=1.0))
    assert placement.reserve("b", Need()) == FOUR_CORES
    assert placement.reserved("b") == (FOUR_CORES, Need())


def test_a_refused_avoided_or_dead_node_gets_no_run(placement: Placement) -> None:
    placement.update([ONE_CORE, replace(FOUR_CORES, problem="It has another version.")])
    assert placement.reserve("a", Need()) == ONE_CORE

    placement.update([ONE_CORE, FOUR_CORES])
    assert placement.reserve("a", Need(), avoid={ONE_CORE.id}) == FOUR_CORES
    # Its room on the first one was given back.
    assert placement.reserve("b", Need(), avoid={FOUR_CORES.id}) == ONE_CORE

    placement.update([ONE_CORE])
    assert placement.reserved("a") is None
    assert placement.reserve("a", Need()) is None


def test_the_room_of_a_node_that_started_again_is_free(placement: Placement) -> None:
    for number in range(5):
        placement.reserve(number, Need())
    placement.update([ONE_CORE, replace(FOUR_CORES, id="four again")])

    again = [placement.reserve(f"again {number}", Need()) for number in range(5)]

    assert [node.id for node in again if node] == ["four again"] * 4
