"""Only folders of the server below the allowed root can be chosen."""

import os
from pathlib import Path

import pytest

from transfer_core.data.sources.server_folder import allowed_folder, images_root, subfolders
from transfer_core.errors import IngestError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("root/b/deep", "root/a", "root/.hidden", "outside/secret"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "root" / "file.txt").write_text("x")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    return tmp_path / "root"


class TestRoot:
    @pytest.mark.parametrize("value", [None, ""])
    def test_without_the_setting_nothing_is_allowed(
        self, monkeypatch: pytest.MonkeyPatch, value: str | None
    ) -> None:
        monkeypatch.delenv("TRANSFER_STUDIO_IMAGES_ROOT", raising=False)
        if value is not None:
            monkeypatch.setenv("TRANSFER_STUDIO_IMAGES_ROOT", value)
        assert images_root() is None

    def test_the_setting_names_it(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_IMAGES_ROOT", str(root / "b" / ".."))
        assert images_root() == root

    def test_what_is_no_folder_is_reported(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_IMAGES_ROOT", str(root / "file.txt"))
        with pytest.raises(IngestError) as caught:
            images_root()
        assert str(caught.value) == (
            f"The setting TRANSFER_STUDIO_IMAGES_ROOT is “{root / 'file.txt'}”, which is not a folder. Name a folder "
            "or leave it out."
        )


@pytest.mark.parametrize(
    ("relative", "expected"), [("", ""), ("a", "a"), ("b/deep", "b/deep"), ("b\\deep/", "b/deep")]
)
def test_folders_below_it_can_be_chosen(root: Path, relative: str, expected: str) -> None:
    assert allowed_folder(root, relative) == root / expected


HOSTILE = [
    "..",
    "a/..",
    "b/../../outside",
    "..\\outside",
    "/",
    "/etc",
    "\\\\host",
    "C:\\",
    "link",
    "link/secret",
]
WRONG = ["file.txt", "gone", "a\0", "con", "x" * 5000]


@pytest.mark.parametrize("relative", [*HOSTILE, *WRONG], ids=lambda text: repr(text[:20]))
def test_nothing_else_can(root: Path, relative: str) -> None:
    for look in (allowed_folder, subfolders):
        with pytest.raises(IngestError) as caught:
            look(root, relative)
        shown = relative.replace("\0", "").replace("\\", "/")
        if len(shown) > 200:
            shown = f"{shown[:100]}…{shown[-99:]}"
        assert str(caught.value) == (
            f"“{shown}” is not a folder below the one that is allowed on this server. Choose one from the list."
        )


def test_a_root_that_is_itself_a_link_is_fine(tmp_path: Path, root: Path) -> None:
    (tmp_path / "other").symlink_to(root, target_is_directory=True)
    assert allowed_folder(tmp_path / "other", "b/deep") == root / "b" / "deep"


def test_the_next_folders_are_listed(root: Path) -> None:
    assert subfolders(root) == ["a", "b"]
    assert subfolders(root, "b") == ["deep"]
    assert subfolders(root, "a") == []


def test_a_folder_that_cannot_be_opened_is_reported(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(IngestError) as caught:
        subfolders(root, "a")
    assert str(caught.value) == "The folder a cannot be opened: Permission denied. Choose another one."
