"""Who hears of more room."""

from __future__ import annotations

import threading

from transfer_core.work.cluster.nodes import Node
from transfer_core.work.cluster.room import Room


def test_calls_back_after_a_callback_has_failed() -> None:
    room = Room()
    failed, called = threading.Event(), threading.Event()

    def fail_once() -> None:
        if failed.is_set():
            called.set()
        failed.set()
        raise OSError("The disk is full.")

    room.on_change(fail_once)
    room.update([Node("1", "lab-1", "10.0.0.1", 1.0)])
    assert failed.wait(30)
    room.update([])
    assert called.wait(30)
    room.close()
