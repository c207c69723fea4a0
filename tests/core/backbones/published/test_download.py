"""A download against a real server on this machine: whole, cut off, wrong, missing, silent, stopped."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.core.publisher import Publisher, publishing
from transfer_core import download
from transfer_core.backbones.published.zoo_weights import (
    URL_VARIABLE,
    WEIGHTS_VARIABLE,
    WeightsFile,
    download_weights,
)
from transfer_core.backbones.registry import get_backbone
from transfer_core.download import DownloadStoppedError
from transfer_core.errors import WeightsError
from transfer_core.work.queue import WorkQueue
from transfer_core.work.tasks import download_task


def weights_file() -> bytes:
    """Return an HDF5 file of half a megabyte."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["kernel"] = np.arange(64_000, dtype=np.int64)
    return buffer.getvalue()


CONTENT = weights_file()
FILE = WeightsFile("weights.h5", "", hashlib.md5(CONTENT).hexdigest())


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A server whose answers the test decides; downloads go to an empty folder."""
    with publishing(CONTENT) as found:
        monkeypatch.setenv(URL_VARIABLE, f"{found.url}/mirror/")
        monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))
        yield found


def left_behind(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "weights").rglob("*"))


def test_whole_file_comes_with_its_progress_and_lies_under_its_name(
    publisher: Publisher, tmp_path: Path
) -> None:
    progress = []
    path = download_weights(FILE, on_progress=lambda *numbers: progress.append(numbers))
    assert path == tmp_path / "weights" / "weights.h5"
    assert path.read_bytes() == CONTENT
    assert progress[0] == (0, len(CONTENT))
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert progress == sorted(progress)
    assert left_behind(tmp_path) == ["weights.h5"]


def test_server_may_omit_the_length(publisher: Publisher, tmp_path: Path) -> None:
    publisher.sends_length = False
    assert download_weights(FILE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_sent": -1000}, "broke off"),
        ({"content": CONTENT[:-1] + b"x"}, "its checksum does not match"),
        ({"content": b"<html>Sign in to this network</html>"}, "its checksum does not match"),
        ({"status": 404}, "the server answered 404"),
        ({"status": 503}, "the server answered 503"),
    ],
)
def test_failed_download_raises_one_sentence_and_leaves_nothing(
    publisher: Publisher, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    vars(publisher).update(changes)
    with pytest.raises(WeightsError, match=reason) as caught:
        download_weights(FILE)
    message = str(caught.value)
    assert "works offline" in message
    assert "weights.h5" in message
    assert str(tmp_path / "weights") in message
    assert message.count(".") == message.replace("weights.h5", "").count(".") + 1
    assert left_behind(tmp_path) == []


def test_failed_download_keeps_the_existing_file(publisher: Publisher, tmp_path: Path) -> None:
    download_weights(FILE)
    publisher.num_sent = -1000
    with pytest.raises(WeightsError):
        download_weights(FILE)
    assert (tmp_path / "weights" / "weights.h5").read_bytes() == CONTENT


def test_html_is_refused_also_where_no_checksum_is_known(publisher: Publisher, tmp_path: Path) -> None:
    publisher.content = b"<html>Sign in to this network</html>"
    with pytest.raises(WeightsError, match="checksum does not match"):
        download_weights(WeightsFile("weights.h5", "", ""))
    assert left_behind(tmp_path) == []


def test_silent_server_is_given_up(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_TIMEOUT", 0.2)
    publisher.may_go_on.clear()
    with pytest.raises(WeightsError, match="stopped answering"):
        download_weights(FILE)
    assert left_behind(tmp_path) == []


def test_no_network_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    with pytest.raises(WeightsError, match=r"server cannot be reached.*Choose a model that works offline"):
        download_weights(FILE)


def test_stopped_download_leaves_nothing_and_can_start_again(publisher: Publisher, tmp_path: Path) -> None:
    publisher.may_go_on.clear()
    job = WorkQueue().start(download_task("weights", "Weights", FILE))
    publisher.is_half_sent.wait(60)
    while job.progress.num_done < len(CONTENT) // 2:
        pass
    assert 0.4 < job.progress.share < 0.6
    job.request_stop()
    publisher.may_go_on.set()
    assert job.wait(60)
    assert job.problem == ""
    assert left_behind(tmp_path) == []
    with pytest.raises(DownloadStoppedError):
        download_weights(FILE, should_stop=lambda: True)
    assert download_weights(FILE).is_file()
    assert publisher.num_requests == 3


def test_task_says_what_went_wrong(publisher: Publisher) -> None:
    publisher.status = 404
    job = WorkQueue().start(download_task("weights", "Weights", FILE))
    assert job.wait(60)
    assert "answered 404" in job.problem


def test_missing_weights_raise_and_are_never_replaced_by_random_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keras_module
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    backbone = get_backbone("mobilenet_v3_small")
    assert not backbone.weights.are_available
    with pytest.raises(WeightsError) as caught:
        backbone.build()
    message = str(caught.value)
    assert backbone.weights.download.name in message
    assert str(tmp_path) in message
    assert "works offline" in message


def test_truncated_file_in_the_folder_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keras_module
) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    for name in ("mobilenet_v3_small", "mobilenet_v2"):
        backbone = get_backbone(name)
        (tmp_path / backbone.weights.download.name).write_bytes(CONTENT)
        assert backbone.weights.are_available
        with pytest.raises(WeightsError, match=r"checksum is another|cannot be read"):
            backbone.build()


def test_truncated_file_is_detected_without_length_and_checksum(publisher: Publisher, tmp_path: Path) -> None:
    publisher.sends_length, publisher.num_sent = False, len(CONTENT) - 1000
    with pytest.raises(WeightsError):
        download_weights(WeightsFile("weights.h5", "", ""))
    assert left_behind(tmp_path) == []
