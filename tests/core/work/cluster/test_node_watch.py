"""Follow the nodes of a cluster, here with a table of Ray's that the test writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue
from types import SimpleNamespace

import pytest

from transfer_core.work.cluster import node_watch
from transfer_core.work.cluster.node_watch import NodeWatch
from transfer_core.work.cluster.nodes import Node

PATIENCE = 30.0  # seconds until a test gives up; nothing waits that long


class Head:
    """Answers with 20 nodes, whose probes wait for `may_go_on`."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.may_go_on = threading.Event()
        self.was_requested_again = threading.Event()
        self.has_ended = threading.Event()
        self.is_over = False
        self.now = 0.0
        self.problem = ""
        self._num_requests = 0

    def table(self) -> list[dict[str, object]]:
        self.may_answer.wait(PATIENCE)
        self._num_requests += 1
        if self._num_requests > 1:
            self.was_requested_again.set()
        return [{"NodeID": str(number), "Alive": True, "Resources": {"CPU": 1.0}} for number in range(20)]

    def sleep(self, _seconds: float) -> None:
        if self.is_over:
            # A thread that follows the nodes ends with its process only.
            self.has_ended.set()
            threading.Event().wait()

    def probed(self, row: dict[str, object], _own: object) -> Node:
        self.may_go_on.wait(PATIENCE)
        return Node(str(row["NodeID"]), "lab", "10.0.0.1", 1.0, problem=self.problem)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[Head]:
    head = Head()
    monkeypatch.setattr(node_watch, "_table", head.table)
    monkeypatch.setattr(node_watch, "_probed_node", head.probed)
    monkeypatch.setattr(node_watch, "time", SimpleNamespace(sleep=head.sleep, monotonic=lambda: head.now))
    yield head
    head.is_over = True
    head.may_answer.set()
    head.may_go_on.set()
    assert head.has_ended.wait(PATIENCE)


def test_probes_of_many_nodes_do_not_keep_the_table_waiting(head: Head) -> None:
    nodes: list[tuple[Node, ...]] = []
    are_sent = threading.Event()
    watch = NodeWatch(lambda sent: (nodes.append(sent), are_sent.set()), lambda sentence: None)
    head.may_answer.set()
    watch.start()
    assert head.was_requested_again.wait(PATIENCE)
    assert nodes == []
    head.may_go_on.set()
    assert are_sent.wait(PATIENCE)
    assert len(nodes[0]) == 20


def test_says_that_the_head_does_not_answer_and_that_it_does_again(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_watch, "_SECONDS_UNTIL_AWAY", 0.01)
    sentences: list[str] = []
    has_spoken = threading.Semaphore(0)
    watch = NodeWatch(lambda nodes: None, lambda sentence: (sentences.append(sentence), has_spoken.release()))
    watch.start()
    assert has_spoken.acquire(timeout=PATIENCE)
    head.may_answer.set()
    assert has_spoken.acquire(timeout=PATIENCE)
    assert "does not answer" in sentences[0]
    assert sentences[1] == ""


def test_refused_node_is_asked_again_after_a_minute(head: Head) -> None:
    sent: Queue[tuple[Node, ...]] = Queue()
    head.problem = "The disk is full."
    head.may_answer.set()
    head.may_go_on.set()
    NodeWatch(sent.put, lambda sentence: None).start()
    assert [node.problem for node in sent.get(timeout=PATIENCE)] == ["The disk is full."] * 20
    head.problem = ""
    head.now = 61.0
    nodes = sent.get(timeout=PATIENCE)
    while any(node.problem for node in nodes):
        nodes = sent.get(timeout=PATIENCE)
    assert len(nodes) == 20
