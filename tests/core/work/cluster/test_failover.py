"""Whatever dies under a training, it goes on from its last checkpoint and ends with the same weights."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import psutil

from tests.core.work.cluster.conftest import one_thread_executor, wait_until, weights_of
from transfer_core.events import EpochEnded, PlaceLost, RunPlaced, RunResumed, TrainingEvent
from transfer_core.runs.training_run import TrainingRun


def test_worker_driver_and_node_die_and_the_weights_are_the_same(
    cluster, executor, session_workspace, color_dataset, tiny_config, keras_module
) -> None:
    # The first checkpoint is written after five seconds of work.
    config = tiny_config.with_changes(epochs=700)
    run, undisturbed = (TrainingRun.create(session_workspace, color_dataset, config) for _number in range(2))
    events: list[TrainingEvent] = []
    training = threading.Thread(
        target=executor, args=(session_workspace, run, events.append, lambda: False), daemon=True
    )
    training.start()

    def has_gone_on() -> bool:
        """Whether epochs came after the last loss."""
        since = max((place for place, event in enumerate(events) if isinstance(event, PlaceLost)), default=0)
        return any(isinstance(event, EpochEnded) for event in events[since:])

    wait_until(lambda: run.has_checkpoint, str(events[-1:]))
    (worker,) = cluster.workers()
    worker.kill()
    wait_until(lambda: count(events, PlaceLost) == 1 and has_gone_on())
    os.kill(executor.process_id, signal.SIGKILL)
    wait_until(lambda: count(events, PlaceLost) == 2 and has_gone_on())
    node, _need = executor._placement.reserved((session_workspace, run.id))
    cluster.kill(node.id)
    wait_until(lambda: count(events, PlaceLost) == 3 and has_gone_on())
    with one_thread_executor() as other:
        other(session_workspace, undisturbed, lambda _event: None, lambda: False)
    training.join(120)

    assert events[-1].outcome == "finished", events[-1].message
    assert [event.reason for event in events if isinstance(event, PlaceLost)] == ["worker", "cluster", "node"]
    assert (count(events, RunPlaced), count(events, RunResumed)) == (4, 3)
    pairs = zip(weights_of(run), weights_of(undisturbed), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    assert node.id not in {each.id for each in executor.nodes}
    cluster.add()
    wait_until(lambda: len(executor.nodes) == 2)


def count(events: list[TrainingEvent], kind: type[TrainingEvent]) -> int:
    return sum(isinstance(event, kind) for event in events)


def test_nothing_is_left_when_an_executor_is_closed(cluster, executor) -> None:
    driver = psutil.Process(executor.process_id)
    executor.close()
    assert not driver.is_running()
    wait_until(lambda: not cluster.workers())
