"""A run that is held by one process: pause, stop from elsewhere, and the lock that dies with its holder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from tests.conftest import ROOT
from transfer_core.config import TrainingConfig
from transfer_core.errors import TrainingError, WorkspaceError
from transfer_core.events import EpochEnded, RunContinued, RunPaused, RunStarted
from transfer_core.locks import is_held
from transfer_core.runs.event_log import EventLog
from transfer_core.runs.run_status import run_status
from transfer_core.runs.training_run import TrainingRun
from transfer_core.work.live_run import LiveRun, request_stop_elsewhere

PATIENCE = 30  # seconds until a test gives up; nothing waits that long
HOLD = """
import sys
from pathlib import Path
from transfer_core.work.live_run import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(workspace, color_dataset) -> TrainingRun:
    return TrainingRun.create(workspace, color_dataset, TrainingConfig(backbone="tiny_random"))


@pytest.fixture
def live(run):
    live = LiveRun(run)
    yield live
    live.release()


class Polling(threading.Thread):
    """Polls once whether to stop, as a training does after a batch."""

    def __init__(self, live: LiveRun) -> None:
        super().__init__(daemon=True)
        self._live = live
        self.answer: bool | None = None
        self.start()

    def run(self) -> None:
        self.answer = self._live.should_stop()

    def wait_for_answer(self) -> bool | None:
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.answer


def wait_until_paused(live: LiveRun, polling: Polling) -> None:
    while not live.is_paused:
        assert polling.is_alive()


def test_goes_on_without_a_request(live) -> None:
    assert not live.should_stop()
    assert live.run.events() == []


def test_pause_lets_the_training_wait_and_is_written_down(live) -> None:
    live.pause()
    polling = Polling(live)
    wait_until_paused(live, polling)
    assert live.log.snapshot.is_paused
    live.go_on()
    assert polling.wait_for_answer() is False
    assert [type(event) for event in live.run.events()] == [RunPaused, RunContinued]
    assert not live.should_stop()


@pytest.mark.parametrize("by", ["this process", "another process"])
def test_stop_ends_a_pause(live, by: str) -> None:
    live.pause()
    polling = Polling(live)
    wait_until_paused(live, polling)
    if by == "this process":
        live.request_stop()
    else:
        request_stop_elsewhere(live.run)
    assert polling.wait_for_answer() is True
    assert not live.log.snapshot.is_paused


def test_stop_from_another_process_is_obeyed_and_forgotten(live) -> None:
    request_stop_elsewhere(live.run)
    assert live.is_stopping
    assert live.should_stop()
    live.release()
    again = LiveRun(live.run)
    assert not again.should_stop()
    again.release()


def test_second_holder_is_refused_until_the_first_lets_go(live) -> None:
    assert is_held(live.run.folder)
    with pytest.raises(
        TrainingError, match=f"Another program on this computer works on the run {live.run.id}"
    ):
        LiveRun(live.run)
    live.release()
    assert not is_held(live.run.folder)
    LiveRun(live.run).release()


def test_onlookers_do_not_get_in_the_way(run) -> None:
    is_over = threading.Event()

    def look_on() -> None:
        while not is_over.is_set():
            is_held(run.folder)

    onlookers = [threading.Thread(target=look_on) for _number in range(3)]
    LiveRun(run).release()
    for onlooker in onlookers:
        onlooker.start()
    for _number in range(50):
        LiveRun(run).release()
    is_over.set()
    for onlooker in onlookers:
        onlooker.join(PATIENCE)
    assert not is_held(run.folder)


def test_lock_dies_with_a_killed_process(run) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    EventLog(run.folder / "events.jsonl").append(RunStarted(100.0, 18, 6, 3))
    assert run_status(run) == "running"
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=PATIENCE)
    assert run_status(run) == "interrupted"
    LiveRun(run).release()


def test_unfinished_files_of_a_killed_process_are_deleted(run) -> None:
    (run.folder / "checkpoints").mkdir()
    unfinished = [run.folder / ".model-0a1b2c3d.keras", run.folder / "checkpoints" / ".weights-0a1b2c3d.npz"]
    for path in unfinished:
        path.write_bytes(b"half")
    LiveRun(run).release()
    assert not any(path.exists() for path in unfinished)
    assert (run.folder / "config.json").is_file()


def test_files_that_a_page_is_writing_are_kept(run) -> None:
    half_made = [run.folder / "exports" / ".bundle-0a1b2c3d.zip", run.folder / ".notes-0a1b2c3d.json"]
    for path in half_made:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    LiveRun(run).release()
    assert all(path.exists() for path in half_made)


@pytest.mark.parametrize("step", ["remove", "EventLog.refresh"])
@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(errno.ENOSPC, "No space left on device"), WorkspaceError), (ValueError("a bug"), ValueError)],
)
def test_run_that_cannot_be_opened_is_free_again(
    run, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception, expected: type[Exception]
) -> None:
    def refuse(*_arguments: object) -> None:
        raise error

    with monkeypatch.context() as broken:
        broken.setattr(f"transfer_core.work.live_run.{step}", refuse)
        with pytest.raises(expected):
            LiveRun(run)
    assert not is_held(run.folder)
    LiveRun(run).release()


def test_log_goes_on_behind_half_a_line(run) -> None:
    epoch = EpochEnded(101.0, 1, "head", 1.0, 0.5, 0.9, 0.6)
    (run.folder / "events.jsonl").write_text('{"event": "RunEnded", "time": 10')
    live = LiveRun(run)
    live.log.append(epoch)
    live.release()
    assert run.events() == [epoch]
    assert live.log.snapshot.epochs == (epoch,)


def test_pause_ends_by_itself_when_others_have_waited_for_long_enough(run, monkeypatch) -> None:
    others = threading.Event()
    live = LiveRun(run, others.is_set)
    live.pause()
    monkeypatch.setattr("transfer_core.work.live_run.MOST_SECONDS_OF_PAUSE", 0.0)
    training = Polling(live)
    while not live.is_paused:
        pass
    assert live.seconds_of_pause_left == 0.0
    assert not live.has_pause_ended
    others.set()
    assert training.wait_for_answer() is False
    assert live.has_pause_ended
    assert not live.is_to_pause
    kinds = [type(event) for event in run.events()]
    assert kinds == [RunPaused, RunContinued]
    live.release()


def test_all_pauses_of_a_run_count_together(live) -> None:
    before = live.seconds_of_pause_left
    assert before == 180.0
    for _number in range(2):
        live.pause()
        training = Polling(live)
        while not live.is_paused:
            pass
        live.go_on()
        training.wait_for_answer()
        assert live.seconds_of_pause_left < before
        before = live.seconds_of_pause_left
