"""The web runtime is downloaded once from a real local server, verified, stored, and never half-written."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.core.conftest import FinishedRun
from tests.core.publisher import Publisher, publishing
from transfer_core.download import DownloadStoppedError
from transfer_core.errors import ExportError
from transfer_core.export.preparation import num_bytes_to_fetch
from transfer_core.export.web_runtime import (
    REGISTRY_VARIABLE,
    RuntimePackage,
    WebRuntime,
    get_runtime,
    is_available,
)
from transfer_core.work.queue import WorkQueue
from transfer_core.work.tasks import export_task
from transfer_core.workspace import Workspace

RUNTIME = WebRuntime(b"export const script = 1;", np.random.default_rng(0).bytes(300_000))
FILES = {"package/run.mjs": RUNTIME.script, "package/run.wasm": RUNTIME.machine_code, "package/more.js": b"-"}


def archive_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


ARCHIVE = archive_of(FILES)
PACKAGE = RuntimePackage(
    "runtime-web",
    "1.2.3",
    len(ARCHIVE),
    base64.b64encode(hashlib.sha512(ARCHIVE).digest()).decode(),
    "package/run.mjs",
    "package/run.wasm",
    (hashlib.sha256(RUNTIME.script).hexdigest(), hashlib.sha256(RUNTIME.machine_code).hexdigest()),
)
STORED = ["runtime-web-1.2.3", "runtime-web-1.2.3/run.mjs", "runtime-web-1.2.3/run.wasm"]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    with publishing(ARCHIVE) as found:
        monkeypatch.setenv(REGISTRY_VARIABLE, f"{found.url}/npm/")
        yield found


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_only_the_used_files_are_stored_and_work_offline(registry: Publisher, tmp_path: Path) -> None:
    reports = []
    assert not is_available(tmp_path, PACKAGE)
    assert get_runtime(tmp_path, PACKAGE, on_progress=lambda *numbers: reports.append(numbers)) == RUNTIME
    assert registry.paths == ["/npm/runtime-web/-/runtime-web-1.2.3.tgz"]
    assert reports[0] == (0, len(ARCHIVE)) and reports[-1] == (len(ARCHIVE), len(ARCHIVE))
    assert files_in(tmp_path) == STORED
    assert is_available(tmp_path, PACKAGE)
    registry.status = 503
    assert get_runtime(tmp_path, PACKAGE) == RUNTIME
    assert registry.num_requests == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_sent": -1000}, "broke off"),
        ({"content": ARCHIVE[:-1] + b"x"}, "its checksum does not match"),
        ({"content": archive_of({**FILES, "package/run.mjs": b"steal()"})}, "its checksum does not match"),
        ({"status": 404}, "the server answered 404"),
    ],
)
def test_a_failed_download_explains_the_way_out_and_leaves_no_file(
    registry: Publisher, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    vars(registry).update(changes)
    with pytest.raises(ExportError, match=reason) as caught:
        get_runtime(tmp_path, PACKAGE)
    message = str(caught.value)
    assert "put it into the folder" in message and str(tmp_path) in message
    assert f"download runtime-web-1.2.3.tgz on another computer from {PACKAGE.address}" in message
    assert files_in(tmp_path) == []


def test_a_stopped_download_leaves_no_file(registry: Publisher, tmp_path: Path) -> None:
    with pytest.raises(DownloadStoppedError):
        get_runtime(tmp_path, PACKAGE, should_stop=lambda: True)
    assert files_in(tmp_path) == []


def test_an_archive_added_by_hand_is_used(tmp_path: Path) -> None:
    (tmp_path / PACKAGE.archive).write_bytes(ARCHIVE)
    assert is_available(tmp_path, PACKAGE)
    assert get_runtime(tmp_path, PACKAGE) == RUNTIME
    assert files_in(tmp_path) == STORED


@pytest.mark.parametrize("name", ["run.mjs", "run.wasm"])
def test_a_changed_file_is_downloaded_again(registry: Publisher, tmp_path: Path, name: str) -> None:
    get_runtime(tmp_path, PACKAGE)
    (tmp_path / "runtime-web-1.2.3" / name).write_bytes(b"other")
    assert get_runtime(tmp_path, PACKAGE) == RUNTIME
    assert registry.num_requests == 2


def test_exporting_a_page_offline_explains_the_way_out(finished_run: FinishedRun, tmp_path: Path) -> None:
    assert num_bytes_to_fetch(Workspace(tmp_path), "onnx") == 0
    assert num_bytes_to_fetch(Workspace(tmp_path), "web") == 33_106_585
    task = WorkQueue().start(export_task(Workspace(tmp_path), finished_run.run, "web"))
    assert task.wait(60)
    assert "server cannot be reached" in task.problem
    assert f"put it into the folder {tmp_path / 'runtimes'}" in task.problem
    assert files_in(tmp_path / "runtimes") == []
