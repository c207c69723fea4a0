"""Results are in order and computed a few items ahead."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from tests.conftest import ROOT
from transfer_core.data import parallel
from transfer_core.data.parallel import map_ahead, num_usable_cores


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "num_usable_cores", lambda: 2)


def test_cores_outside_the_affinity_are_not_counted() -> None:
    affinity = getattr(os, "sched_getaffinity", None)
    if affinity is None:
        pytest.skip("needs an affinity that can be set, as on Linux")
    before = affinity(0)
    num_usable_cores.cache_clear()
    os.sched_setaffinity(0, {min(before)})
    try:
        assert num_usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)
        num_usable_cores.cache_clear()


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_at_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number * number

    assert list(map_ahead(slow_at_first, range(50))) == [number * number for number in range(50)]


def test_nothing_gives_nothing() -> None:
    assert list(map_ahead(str, [])) == []


def test_items_are_worked_on_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=5)
    assert len(list(map_ahead(lambda _number: meeting.wait(), range(2)))) == 2


@pytest.mark.parametrize(("num_ahead", "expected"), [(None, 4), (1, 1), (10, 10)])
def test_only_a_few_results_wait(num_ahead: int | None, expected: int) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    results = map_ahead(lambda number: number, items(), num_ahead)
    for position in range(5):
        assert next(results) == position
        assert len(taken) - position == expected + 1
    results.close()


def test_an_error_comes_out_at_its_place() -> None:
    def divide(number: int) -> float:
        return 1 / (number - 2)

    results = map_ahead(divide, range(5))
    assert [next(results), next(results)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_an_error_of_the_source_passes() -> None:
    def items() -> Iterator[NoReturn]:
        raise OSError("gone")
        yield

    with pytest.raises(OSError, match="gone"):
        list(map_ahead(str, items()))


def test_stopping_early_leaves_no_thread_and_no_work() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        time.sleep(0.005)
        done.append(number)

    results = map_ahead(work, range(1000), num_ahead=60)
    next(results)
    results.close()
    assert len(done) < 30
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


ENDLESS = """
import threading
from transfer_core.data.parallel import map_ahead
begun = threading.Event()

def read():
    for _ in map_ahead(lambda number: begun.set(), iter(int, 1)):
        pass

reading = threading.Thread(target=read, daemon=True)
reading.start()
begun.wait()

def keep_exit_waiting():
    threading.main_thread().join()
    reading.join(0.3)

threading.Thread(target=keep_exit_waiting).start()
"""


def test_a_program_that_exits_meanwhile_reports_no_error() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
