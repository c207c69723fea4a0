"""The event log: what is shown is on disk, line by line."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from transfer_core.errors import WorkspaceError
from transfer_core.events import (
    EpochEnded,
    ImagesSeen,
    RunSnapshot,
    RunStarted,
    event_from_dict,
    snapshot_of,
)
from transfer_core.runs.event_log import EventLog

STARTED = RunStarted(100.0, 18, 6, 3)


def events_on_disk(path: Path) -> list:
    return [event_from_dict(json.loads(line)) for line in path.read_text().splitlines()]


def test_event_is_written_and_shown(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    assert log.snapshot == RunSnapshot()
    log.append(STARTED)
    log.append(ImagesSeen(101.0, 5))
    assert events_on_disk(tmp_path / "events.jsonl") == [STARTED, ImagesSeen(101.0, 5)]
    assert log.snapshot == snapshot_of([STARTED, ImagesSeen(101.0, 5)])


def test_numbers_are_the_same_to_the_last_digit(tmp_path: Path) -> None:
    epoch = EpochEnded(1 / 3, 1, "head", 0.1 + 0.2, 2 / 3, 1e-17, 0.7000000000000001)
    EventLog(tmp_path / "events.jsonl").append(epoch)
    assert events_on_disk(tmp_path / "events.jsonl") == [epoch]


def test_appends_to_what_is_there(tmp_path: Path) -> None:
    EventLog(tmp_path / "events.jsonl").append(STARTED)
    EventLog(tmp_path / "events.jsonl").append(ImagesSeen(101.0, 5))
    assert len(events_on_disk(tmp_path / "events.jsonl")) == 2


def test_snapshot_held_by_a_reader_does_not_change(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.append(STARTED)
    held = log.snapshot
    log.append(ImagesSeen(101.0, 5))
    assert (held.num_images, log.snapshot.num_images) == (0, 5)


def test_many_writers_lose_no_event(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    start_together = threading.Barrier(8)

    def write(writer: int) -> None:
        start_together.wait()
        for count in range(50):
            log.append(EpochEnded(float(count), writer, "head", 0.0, 0.0, 0.0, 0.0))

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = events_on_disk(tmp_path / "events.jsonl")
    assert len(written) == 400
    assert log.snapshot == snapshot_of(written)


def test_missing_folder_is_an_error_and_nothing_is_shown(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "gone" / "events.jsonl")
    with pytest.raises(WorkspaceError, match="could not be saved: No such file or directory"):
        log.append(STARTED)
    assert log.snapshot == RunSnapshot()


def test_full_disk_is_an_error_and_nothing_is_shown(tmp_path: Path, file_size_limit) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    with file_size_limit(10), pytest.raises(WorkspaceError, match="Free some space"):
        log.append(STARTED)
    assert log.snapshot == RunSnapshot()


def test_half_a_line_on_a_full_disk_does_not_swallow_the_next_event(tmp_path: Path, file_size_limit) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append(STARTED)
    size = path.stat().st_size
    with file_size_limit(size + 10), pytest.raises(WorkspaceError):
        log.append(ImagesSeen(101.0, 5))
    assert path.stat().st_size == size
    log.append(ImagesSeen(102.0, 6))
    assert events_on_disk(path) == [STARTED, ImagesSeen(102.0, 6)]
