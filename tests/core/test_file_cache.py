"""What was read from files is kept until the file changes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec import structs

from transfer_core.data.dataset import ImageDataset
from transfer_core.file_cache import FileCache
from transfer_core.files import write_bytes
from transfer_core.workspace import Workspace

RENAME_ELSEWHERE = """
import json, os, sys
path = sys.argv[1]
facts = json.load(open(path))
facts["name"] = sys.argv[2]
with open(path + ".new", "w") as file:
    json.dump(facts, file)
os.replace(path + ".new", path)
"""


class CountedFile:
    """A file that knows how often it was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_reads = 0

    def read(self) -> bytes:
        self.num_reads += 1
        return self.path.read_bytes()


def long_after() -> int:
    return time.time_ns() + 10**9


@pytest.fixture
def file(tmp_path: Path) -> CountedFile:
    (tmp_path / "facts.json").write_bytes(b"first")
    return CountedFile(tmp_path / "facts.json")


def test_reads_once_until_the_file_is_replaced(file: CountedFile) -> None:
    cache: FileCache[bytes] = FileCache(max_bytes=100, clock=long_after)
    assert [cache.get(file.path, file.read) for _number in range(3)] == [b"first"] * 3
    assert file.num_reads == 1
    write_bytes(file.path, b"again")  # as many bytes
    assert [cache.get(file.path, file.read) for _number in range(3)] == [b"again"] * 3
    assert file.num_reads == 2


def test_a_file_that_was_just_written_is_read_each_time(file: CountedFile) -> None:
    """Another version with the same time, size and inode may follow within one tick of the file system."""
    written_at = file.path.stat().st_mtime_ns
    cache: FileCache[bytes] = FileCache(max_bytes=100, clock=lambda: written_at + 10**6)
    assert cache.get(file.path, file.read) == b"first"
    file.path.write_bytes(b"again")
    os.utime(file.path, ns=(written_at, written_at))
    assert cache.get(file.path, file.read) == b"again"


def test_a_file_that_is_replaced_while_it_is_read_is_read_again(file: CountedFile) -> None:
    cache: FileCache[bytes] = FileCache(max_bytes=100, clock=long_after)

    def read_old_while_replaced() -> bytes:
        content = file.read()
        write_bytes(file.path, b"newer")
        return content

    assert cache.get(file.path, read_old_while_replaced) == b"first"
    assert cache.get(file.path, file.read) == b"newer"


def test_what_cannot_be_read_is_not_kept(file: CountedFile) -> None:
    cache: FileCache[bytes] = FileCache(max_bytes=100, clock=long_after)
    cache.get(file.path, file.read)
    file.path.unlink()
    for _number in range(2):
        with pytest.raises(FileNotFoundError):
            cache.get(file.path, file.read)
    file.path.write_bytes(b"back")
    assert cache.get(file.path, file.read) == b"back"


def test_the_least_recently_used_is_forgotten_first(tmp_path: Path) -> None:
    cache: FileCache[bytes] = FileCache(max_bytes=10, clock=long_after)
    files = []
    for name in "abc":
        (tmp_path / name).write_bytes(4 * name.encode())
        files.append(CountedFile(tmp_path / name))
    a, b, c = files
    for file in (a, b, a, c, a, b):
        cache.get(file.path, file.read)
    assert [file.num_reads for file in files] == [1, 2, 1]


def test_a_file_above_the_limit_is_kept_alone(file: CountedFile) -> None:
    cache: FileCache[bytes] = FileCache(max_bytes=2, clock=long_after)
    for _number in range(2):
        cache.get(file.path, file.read)
    assert file.num_reads == 1


def test_a_dataset_is_shared_until_another_process_changes_it(
    workspace: Workspace, color_dataset: ImageDataset
) -> None:
    folder = workspace.dataset_dir(color_dataset.id)
    dataset = ImageDataset("Colours", (), (), (), id=color_dataset.id, folder=folder).save()
    os.utime(dataset.folder / "dataset.json", (1, 1))  # a file that was just written is read each time
    loaded = ImageDataset.load(workspace, dataset.id)
    assert ImageDataset.load(workspace, dataset.id) is loaded == dataset
    path = dataset.folder / "dataset.json"
    subprocess.run([sys.executable, "-c", RENAME_ELSEWHERE, str(path), "Paints!"], check=True)
    assert ImageDataset.load(workspace, dataset.id).name == "Paints!"


def test_what_a_dataset_derives_is_not_saved(color_dataset: ImageDataset, workspace: Workspace) -> None:
    color_dataset.counts(), color_dataset.by_id, color_dataset.has_given_split
    saved = structs.replace(color_dataset, name="Copy", folder=workspace.dataset_dir(color_dataset.id))
    assert saved.find(color_dataset.images[0].id) == color_dataset.images[0]
    assert saved.save() == ImageDataset.load(workspace, saved.id)
