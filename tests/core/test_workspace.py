"""The workspace knows where things are and lets no foreign id near a path."""

import re
from pathlib import Path

import pytest

from transfer_core.errors import NotFoundError, WorkspaceError
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace, default_workspace_root, new_id

GOOD_ID = "20261122-140512-0123456789abcdef"


def make_entry(workspace: Workspace, kind: str, identifier: str, marker: str) -> None:
    folder = workspace.root / kind / identifier
    folder.mkdir(parents=True)
    if marker:
        (folder / marker).write_text("{}")


def test_ids_sort_by_time_and_never_meet() -> None:
    ids = {new_id() for _ in range(200)}
    assert len(ids) == 200
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{16}", identifier) for identifier in ids)


def test_an_id_is_taken_by_the_workspace(workspace: Workspace) -> None:
    identifier = new_id()
    assert workspace.dataset_dir(identifier) == workspace.root / "datasets" / identifier
    assert workspace.run_dir(identifier) == workspace.root / "runs" / identifier


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        ".",
        "..",
        "../runs",
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\Windows",
        GOOD_ID + "/..",
        "../" + GOOD_ID,
        GOOD_ID + "\n",
        GOOD_ID + "\0",
        GOOD_ID.upper(),
        GOOD_ID[:-1],
        GOOD_ID.replace("2026", "\uff12\uff10\uff12\uff16"),
        "a" * 100_000,
    ],
    ids=lambda identifier: repr(identifier)[:20],
)
def test_a_foreign_id_is_refused(workspace: Workspace, identifier: str) -> None:
    for folder_of in (workspace.dataset_dir, workspace.run_dir):
        with pytest.raises(NotFoundError) as caught:
            folder_of(identifier)
        assert str(caught.value) == (
            f"There is nothing with the id {identifier[:60]}. Ids look like 20261122-140512-0123456789abcdef."
        )


def test_folders_are_created_on_access(workspace: Workspace) -> None:
    assert not workspace.root.exists()
    for folder in (workspace.datasets_dir, workspace.runs_dir, workspace.cache_dir):
        assert folder.is_dir()
    assert sorted(path.name for path in workspace.root.iterdir()) == ["cache", "datasets", "runs"]


def test_listing_is_newest_first_and_passes_over_what_is_not_ours(workspace: Workspace) -> None:
    older, newer = "20250101-000000-" + "a" * 16, "20260101-000000-" + "0" * 16
    for kind, marker in (("datasets", "dataset.json"), ("runs", "config.json")):
        make_entry(workspace, kind, older, marker)
        make_entry(workspace, kind, newer, marker)
        make_entry(workspace, kind, GOOD_ID, "")
        make_entry(workspace, kind, "my own folder", marker)
    assert workspace.dataset_ids() == [newer, older]
    assert workspace.run_ids() == [newer, older]


def test_an_empty_workspace_lists_nothing(workspace: Workspace) -> None:
    assert workspace.dataset_ids() == workspace.run_ids() == []


def test_a_root_that_cannot_be_used_is_reported_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkspaceError) as caught:
        _ = Workspace(tmp_path / "file").runs_dir
    assert str(caught.value) == (
        f"The workspace folder {tmp_path / 'file'} cannot be used: Not a directory. Choose another one with "
        "TRANSFER_STUDIO_WORKSPACE or --workspace."
    )


def test_the_root_is_named_by_the_environment_or_the_persons_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path))
    assert default_workspace_root() == tmp_path
    monkeypatch.setenv(WORKSPACE_VARIABLE, "")
    assert default_workspace_root().name == "transfer-studio"
    assert default_workspace_root().is_absolute()
