"""Two processes, or two threads, at the same file: nothing is lost, and nobody waits for the dead."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from filelock import FileLock

from tests.conftest import ROOT
from transfer_core import locks
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import create_dataset
from transfer_core.data.records import ImageRecord
from transfer_core.errors import WorkspaceError
from transfer_core.locks import LOCK_FILE, changing, hold, is_held, let_go
from transfer_core.runs.notes import RunNotes
from transfer_core.runs.run_folder import RunFolder
from transfer_core.workspace import Workspace

PATIENCE = 60  # seconds until a test gives up; nothing waits that long
NUM_EDITS = 40
EDIT_DATASET = f"""
import sys
from pathlib import Path
from transfer_core.data.dataset import ImageDataset
from transfer_core.errors import WorkspaceError
from transfer_core.workspace import Workspace

root, dataset_id, who = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for number in range({NUM_EDITS}):
    while True:
        dataset = ImageDataset.load(Workspace(Path(root)), dataset_id)
        try:
            dataset.relabelled([f"{{who}}-{{number}}"], f"by {{who}}").save()
            break
        except WorkspaceError as error:
            assert "changed in another window" in str(error)
"""
EDIT_NOTES = """
import sys
from pathlib import Path
from transfer_core.runs.run_folder import RunFolder

files, field = RunFolder(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(100):
    files.change_notes(files.notes(), {field: str(number)})
    assert getattr(files.notes(), field) == str(number), "the other process undid it"
"""
HOLD = """
import sys
from pathlib import Path
from transfer_core.locks import hold

lock = hold(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""

Started = subprocess.Popen[str]


def started(script: str, *arguments: object) -> Started:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process


def run_at_once(*processes: Started) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    images = [
        ImageRecord(f"{who}-{number}", "before", f"{who}-{number}.png")
        for who in ("one", "two")
        for number in range(NUM_EDITS)
    ]
    return create_dataset(workspace, "Shared").with_images(images, ()).save()


def assert_no_edit_was_lost(workspace: Workspace, dataset: ImageDataset) -> None:
    after = ImageDataset.load(workspace, dataset.id)
    assert after.counts() == {"by one": NUM_EDITS, "by two": NUM_EDITS}
    assert after.version == dataset.version + 2 * NUM_EDITS


def test_two_processes_lose_no_edit_of_a_dataset(workspace: Workspace, dataset: ImageDataset) -> None:
    run_at_once(*(started(EDIT_DATASET, workspace.root, dataset.id, who) for who in ("one", "two")))
    assert_no_edit_was_lost(workspace, dataset)


def test_two_threads_lose_no_edit_of_a_dataset(workspace: Workspace, dataset: ImageDataset) -> None:
    problems: list[BaseException] = []

    def edit(who: str) -> None:
        number = 0
        while number < NUM_EDITS:
            try:
                ImageDataset.load(workspace, dataset.id).relabelled([f"{who}-{number}"], f"by {who}").save()
                number += 1
            except WorkspaceError as error:
                if "changed in another window" not in str(error):
                    problems.append(error)
                    return

    threads = [threading.Thread(target=edit, args=(who,)) for who in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert problems == []
    assert_no_edit_was_lost(workspace, dataset)


def test_two_processes_lose_no_note(tmp_path: Path) -> None:
    run_at_once(*(started(EDIT_NOTES, tmp_path, field) for field in ("name", "note")))
    assert RunFolder(tmp_path).notes() == RunNotes("99", "99")


def test_a_folder_has_one_holder_until_it_lets_go(tmp_path: Path) -> None:
    lock = hold(tmp_path / "new")
    assert lock is not None
    assert is_held(tmp_path / "new")
    assert hold(tmp_path / "new") is None
    lock.release()
    lock.release()
    assert not is_held(tmp_path / "new")
    again = hold(tmp_path / "new")
    assert again is not None
    assert (tmp_path / "new" / LOCK_FILE).is_file()
    let_go(again)
    assert list((tmp_path / "new").iterdir()) == []


def test_any_thread_may_release(tmp_path: Path) -> None:
    lock = hold(tmp_path)
    assert lock is not None
    releasing = threading.Thread(target=lock.release)
    releasing.start()
    releasing.join(PATIENCE)
    assert not is_held(tmp_path)


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    holder = started(HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    assert is_held(tmp_path)
    assert hold(tmp_path) is None
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate(timeout=PATIENCE)
    assert not is_held(tmp_path)


def test_a_lock_moves_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    lock = hold(tmp_path / "run")
    assert lock is not None
    (tmp_path / "run").rename(tmp_path / "trash")
    assert is_held(tmp_path / "trash")
    lock.release()
    assert not is_held(tmp_path / "trash")


def test_looking_writes_nothing(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def test_who_holds_a_read_only_folder_can_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = hold(tmp_path)
    assert lock is not None
    # What a file system mounted for reading says, also to an administrator.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    real = Path.open

    def open_for_reading(path: Path, mode: str = "r", *arguments: object) -> object:
        if mode != "rb":
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, mode, *arguments)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", open_for_reading)
    assert is_held(tmp_path)
    lock.release()
    assert not is_held(tmp_path)


@pytest.mark.parametrize("use", [hold, lambda folder: changing(folder / "facts.json").__enter__()])
def test_a_disk_that_is_full_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[Path], object]
) -> None:
    def refuse(*_arguments: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileLock, "_acquire", refuse)
    with pytest.raises(WorkspaceError, match=r"cannot be used: No space left on device\. Free some space"):
        use(tmp_path)


def test_who_waits_too_long_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_SECONDS_FOR_A_CHANGE", 0.0)
    with (
        changing(tmp_path / "facts.json"),
        pytest.raises(WorkspaceError, match=r"^facts\.json is being changed by another program\."),
        changing(tmp_path / "facts.json"),
    ):
        pass


def test_an_error_inside_releases_the_file(tmp_path: Path) -> None:
    def fail() -> None:
        with changing(tmp_path / "facts.json"):
            raise KeyboardInterrupt

    for _number in range(2):
        with pytest.raises(KeyboardInterrupt):
            fail()
