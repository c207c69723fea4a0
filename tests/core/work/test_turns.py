"""Whoever asks first goes first, also past a worker that has one run after the other."""

from __future__ import annotations

import threading

import pytest

from transfer_core.work.turns import StoppedWaitingError, Turns


def wait_until_asked(turns: Turns, count: int) -> None:
    while len(turns._tickets) < count:
        pass


def test_the_turn_goes_round_in_the_order_of_asking() -> None:
    turns, order = Turns(), []

    def work_through_a_queue() -> None:
        for number in range(3):
            with turns.taken():
                order.append(f"training {number}")
                if number == 0:
                    wait_until_asked(turns, 2)

    def export() -> None:
        with turns.taken():
            order.append("export")

    worker = threading.Thread(target=work_through_a_queue)
    worker.start()
    wait_until_asked(turns, 1)
    exporter = threading.Thread(target=export)
    exporter.start()
    worker.join()
    exporter.join()
    assert order == ["training 0", "export", "training 1", "training 2"]


def test_whoever_stops_waiting_leaves_the_line() -> None:
    turns = Turns()
    with turns.taken(), pytest.raises(StoppedWaitingError), turns.taken(lambda: True):
        raise AssertionError
    with turns.taken():
        assert len(turns._tickets) == 1
    assert not turns._tickets


def test_an_error_gives_the_turn_back() -> None:
    turns = Turns()
    with pytest.raises(ValueError), turns.taken():
        raise ValueError
    assert not turns._tickets
