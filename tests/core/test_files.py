"""A file is whole or not there, whatever goes wrong while it is written."""

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from transfer_core import files
from transfer_core.errors import WorkspaceError
from transfer_core.files import move, read_json, remove, replacing, write_bytes, write_json

DISK_FULL = OSError(errno.ENOSPC, "No space left on device")


def refuse(*_arguments: object, **_options: object) -> NoReturn:
    raise DISK_FULL


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with something in it."""
    path = tmp_path / "facts.json"
    path.write_text("earlier")
    return path


def test_json_round_trip(tmp_path: Path) -> None:
    values = {"name": "Füchse 狐", "numbers": [1, 2.5, None], "deep": {"yes": True}}
    write_json(tmp_path / "a.json", values)
    assert read_json(tmp_path / "a.json") == values
    assert "Füchse 狐" in (tmp_path / "a.json").read_text("utf-8")


def test_writing_replaces_what_was_there_and_leaves_nothing_else(path: Path) -> None:
    write_bytes(path, b"now")
    assert path.read_bytes() == b"now"
    assert list(path.parent.iterdir()) == [path]


def test_the_folder_is_made(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"1")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"1"


def test_nobody_sees_half_a_file(path: Path) -> None:
    with replacing(path) as beside:
        beside.write_text("half")
        assert path.read_text() == "earlier"
        assert beside.parent == path.parent
        assert beside.suffix == path.suffix
    assert path.read_text() == "half"


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_an_error_of_the_writer_passes_and_leaves_the_old_file(path: Path, error: BaseException) -> None:
    def write_half() -> None:
        with replacing(path) as beside:
            beside.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "earlier"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Path, "write_bytes"), (os, "fsync"), (Path, "replace")],
    ids=["write", "sync", "move"],
)
def test_a_full_disk_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(WorkspaceError) as caught:
        write_json(path, {"new": 1})
    assert str(caught.value) == (
        "facts.json could not be saved: No space left on device. An earlier version of it "
        "was kept. Free some space or choose another workspace folder, then try again."
    )
    assert path.read_text() == "earlier"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_reported_the_same_way(path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"^new.bin could not be saved: Not a directory\."):
        write_bytes(path / "below" / "new.bin", b"1")


def test_a_disk_that_refuses_even_the_cleaning_up_is_a_workspace_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(WorkspaceError):
        write_bytes(path, b"1")


def test_what_has_to_survive_a_power_cut_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with replacing(path, durable=False) as beside:
        beside.write_bytes(b"1")
    assert synced == []
    write_bytes(path, b"2")
    assert len(synced) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b'{"half": ', "it is not valid JSON from character 9 on"),
        (b"\xff\xfe\x00{", "it is not valid JSON from character 0 on"),
        (b'{"text": "\xff"}', "it is not text"),
        (b"[1, 2]", "it holds no named values"),
        (b'"text"', "it holds no named values"),
        (b"[" * 100_000, "its values are nested too deeply"),
        (b'{"number": ' + b"9" * 5000 + b"}", "a number in it has thousands of digits"),
    ],
)
def test_what_this_app_did_not_write_is_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(WorkspaceError) as caught:
        read_json(path)
    assert str(caught.value) == (
        f"facts.json of {path.parent.name} is damaged: {message}. Restore it from a copy, or delete "
        "the dataset or model it belongs to."
    )


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited; no test waits them."""
    seconds: list[float] = []
    monkeypatch.setattr(files.time, "sleep", seconds.append)
    return seconds


def refused_at_first(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, num_refusals: float = 3
) -> list[Path]:
    """Let a change be refused as Windows does while another program reads the file."""
    real = getattr(owner, name)
    tried: list[Path] = []

    def change(path: Path, *arguments: Any) -> Any:
        tried.append(path)
        if len(tried) <= num_refusals:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return real(path, *arguments)

    monkeypatch.setattr(owner, name, change)
    return tried


def test_a_file_that_is_being_read_is_replaced_a_little_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, waited: list[float]
) -> None:
    refused_at_first(monkeypatch, Path, "replace")
    write_bytes(path, b"now")
    assert path.read_bytes() == b"now"
    assert list(path.parent.iterdir()) == [path]
    assert len(waited) == 3 and sorted(waited) == waited


def test_a_file_that_another_program_keeps_open_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch, waited: list[float]
) -> None:
    refused_at_first(monkeypatch, Path, "replace", float("inf"))
    with pytest.raises(WorkspaceError, match="could not be saved: The process cannot access the file"):
        write_bytes(path, b"now")
    assert path.read_text() == "earlier"
    assert 1 < sum(waited) < 2


def test_a_full_disk_is_not_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, waited: list[float]
) -> None:
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(WorkspaceError):
        write_bytes(path, b"now")
    assert waited == []


def test_a_folder_is_moved_a_little_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, waited: list[float]
) -> None:
    refused_at_first(monkeypatch, Path, "replace")
    move(path.parent, path.parent.with_name("moved"))
    assert (path.parent.with_name("moved") / path.name).read_text() == "earlier"
    assert len(waited) == 3


@pytest.mark.parametrize(
    ("name", "owner", "method"), [("facts.json", Path, "unlink"), ("", files.shutil, "rmtree")]
)
def test_what_is_in_use_is_deleted_a_little_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, waited: list[float], name: str, owner: Any, method: str
) -> None:
    refused_at_first(monkeypatch, owner, method)
    remove(path.parent / name)
    assert not path.exists()
    assert len(waited) == 3
    remove(path.parent / name)


def test_what_is_lost_is_said(path: Path) -> None:
    for content in (b"", b"[]"):
        path.write_bytes(content)
        with pytest.raises(WorkspaceError, match=r"\. The name is lost\.$"):
            read_json(path, "The name is lost.")


def test_a_missing_file_is_named_with_the_folder_it_belongs_to(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(WorkspaceError, match=r"^gone\.json of run is missing\. Restore it"):
        read_json(tmp_path / "run" / "gone.json")


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError()])
def test_a_folder_that_is_deleted_while_a_file_of_it_is_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    (tmp_path / "run").mkdir()

    def delete_first(_path: Path) -> bytes:
        (tmp_path / "run").rmdir()
        raise error

    monkeypatch.setattr(Path, "read_bytes", delete_first)
    with pytest.raises(WorkspaceError, match=r"^run was moved or deleted meanwhile\.$"):
        read_json(tmp_path / "run" / "a.json")
