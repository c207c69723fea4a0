"""What a stranger may send: each file is refused with its reason, and leaves nothing behind."""

from __future__ import annotations

import io
import json
import pickle
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.core.conftest import FinishedRun
from tests.core.projects.conftest import listed, members_of, opened, zipped
from transfer_core.errors import ProjectError
from transfer_core.projects import version
from transfer_core.workspace import Workspace

Members = dict[str, bytes]


def assert_refused(workspace: Workspace, content: io.BytesIO, reason: str) -> None:
    with pytest.raises(ProjectError, match=reason):
        opened(workspace, content)
    assert (workspace.run_ids(), workspace.dataset_ids(), workspace.source_ids()) == ([], [], [])
    assert not list(workspace.trash_dir.iterdir())


def named(members: Members, ending: str) -> str:
    return next(name for name in members if name.endswith(ending))


def arrays(**values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../evil.txt", "leads out of the folder"),
        ("runs/../../evil.json", "leads out of the folder"),
        ("/etc/passwd", "starts at the top of a disk"),
        ("C:/evil.txt", "starts with a drive"),
        ("runs\\..\\evil.json", "backslash"),
        ("evil\0.json", "zero character"),
        ("model.keras", "can carry code"),
        ("runs/20260101-000000-0123456789abcdef/model.keras", "can carry code"),
        ("weights.h5", "can carry code"),
        ("notes.pkl", "can carry code"),
        ("start.py", "can carry code"),
        ("readme.txt", "no project has a file of this name"),
        ("runs/abc/config.json", "no project has a file of this name"),
        ("datasets/20260101-000000-0123456789abcdef/images/cat.jpg", "no project has a file of this name"),
        ("folder/", "no project has a file of this name"),
    ],
)
def test_names_that_no_project_has(
    project_path: Path, workspace: Workspace, name: str, reason: str, tmp_path: Path
) -> None:
    members = members_of(project_path)
    # As a forger would: the manifest lists it too.
    content = zipped(listed({**members, name.replace("\0", "0"): b"x"}))
    if "\0" in name:
        content = io.BytesIO(content.getvalue().replace(b"evil0.json", b"evil\0.json"))
    assert_refused(workspace, content, reason)
    assert not list(tmp_path.rglob("evil*"))


def test_links_locked_files_and_names_that_are_there_twice(project_path: Path, workspace: Workspace) -> None:
    members = members_of(project_path)
    config = named(members, "config.json")
    buffer = zipped(members)
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(config, b"{}")
    assert_refused(workspace, buffer, "appears twice")

    buffer = zipped({name: content for name, content in members.items() if name != config})
    link = zipfile.ZipInfo(config)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert_refused(workspace, buffer, "only a link")

    content = bytearray(zipped(members).getvalue())
    content[content.rindex(b"PK\1\2") + 8] |= 1
    assert_refused(workspace, io.BytesIO(bytes(content)), "locked with a password")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\5\6" + bytes(18), pickle.dumps({"a": 1})])
def test_other_files(workspace: Workspace, content: bytes) -> None:
    assert_refused(workspace, io.BytesIO(content), "not a project of Transfer Studio")


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[1]", b"nonsense", b"[" * 200_000, b'{"a": 1}', b'{"format": "transfer-studio-source"}'],
)
def test_other_manifests(project_path: Path, workspace: Workspace, manifest: bytes) -> None:
    members = {**members_of(project_path), "project.json": manifest}
    assert_refused(workspace, zipped(members), "not a project")


def test_a_newer_version_says_that_the_app_is_to_be_updated(project_path: Path, workspace: Workspace) -> None:
    members = listed(
        members_of(project_path),
        version=version.PROJECT_VERSION + 1,
        made_with={"transfer_studio": "9.1"},
    )
    assert_refused(
        workspace, zipped(members), r"newer version of Transfer Studio \(9.1.*update Transfer Studio"
    )


@pytest.mark.parametrize("value", [0, -1, "1", True, None, 1.0])
def test_versions_that_never_were(project_path: Path, workspace: Workspace, value: object) -> None:
    assert_refused(workspace, zipped(listed(members_of(project_path), version=value)), "not a project")


@pytest.mark.parametrize(
    "change", [{"more": 1}, {"num_bytes": -1}, {"num_bytes": 1.0}, {"sha256": None}, {"name": ["a"]}], ids=str
)
def test_a_listed_file_with_other_facts(project_path: Path, workspace: Workspace, change: dict) -> None:
    members = listed(members_of(project_path))
    manifest = json.loads(members["project.json"])
    manifest["files"][0] |= change
    members["project.json"] = json.dumps(manifest).encode()
    assert_refused(workspace, zipped(members), r"content of project\.json is not valid")


def test_a_project_that_was_cut_off_or_changed(project_path: Path, workspace: Workspace) -> None:
    whole = project_path.read_bytes()
    assert_refused(workspace, io.BytesIO(whole[: len(whole) // 2]), "not a project")
    members = members_of(project_path)
    picture = named(members, ".jpg")
    changed = {**members, picture: members[picture][:-1] + b"x"}
    assert_refused(workspace, zipped(changed), "damaged or was changed")
    missing = {name: content for name, content in members.items() if name != picture}
    assert_refused(workspace, zipped(missing), "list of files does not match")
    place = whole.index(members[picture][20:60])
    flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    assert_refused(workspace, io.BytesIO(flipped), "damaged or was changed")


def test_bombs(project_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    members = members_of(project_path)
    picture = named(members, ".jpg")
    events = named(members, "events.jsonl")
    assert_refused(workspace, zipped(listed({**members, events: bytes(200_000_000)})), "far too large")

    # One that is larger than its manifest says.
    assert_refused(workspace, zipped({**members, picture: bytes(5_000_000)}), "damaged or was changed")

    with monkeypatch.context() as environment:
        environment.setenv("TRANSFER_STUDIO_MAX_FILES", "5")
        assert_refused(workspace, zipped(members), "more than 5 files")
    with monkeypatch.context() as environment:
        environment.setenv("TRANSFER_STUDIO_MAX_TOTAL_MB", "1")
        large = {**members, picture: np.random.default_rng(0).bytes(1_100_000)}
        assert_refused(workspace, zipped(listed(large)), "far too large|more than 1 MB")
    with monkeypatch.context() as environment:
        environment.setenv("TRANSFER_STUDIO_MAX_FILE_MB", "1")
        assert_refused(workspace, zipped(listed(large)), "larger than 1 MB")


Change = Callable[[dict], object]


@pytest.mark.parametrize(
    ("ending", "change"),
    [
        ("dataset.json", lambda facts: facts["images"][0].update(id="../../../etc/passwd")),
        ("dataset.json", lambda facts: facts["images"][0].update(id="a" * 31 + "/")),
        ("dataset.json", lambda facts: facts["images"].append(facts["images"][0])),
        ("dataset.json", lambda facts: facts["images"][0].update(class_name="unknown")),
        ("dataset.json", lambda facts: facts["images"][0].update(width="wide")),
        ("dataset.json", lambda facts: facts["images"][0].update(extra=1)),
        ("dataset.json", lambda facts: facts.update(class_names="abc")),
        ("dataset.json", lambda facts: facts.update(class_names=["a\nb", "c"])),
        ("dataset.json", lambda facts: facts.update(images=7)),
        ("dataset.json", lambda facts: facts.update(version=0)),
        ("dataset.json", lambda facts: facts.update(seed=-1)),
        ("dataset.json", lambda facts: facts.update(folder="/etc")),
        ("config.json", lambda facts: facts["dataset"].update(id="../../x")),
        ("config.json", lambda facts: facts["dataset"].update(id="20260101-000000-0123456789abcdef")),
        ("config.json", lambda facts: facts["dataset"].update(name=["x"])),
        ("config.json", lambda facts: facts["config"].update(backbone="no_such_network")),
        ("config.json", lambda facts: facts["config"].update(backbone="efficientnet_lite0")),
        ("config.json", lambda facts: facts["config"].update(num_unfrozen_blocks=99)),
        ("config.json", lambda facts: facts["config"].update(unfrozen_layers=["no_such_layer"])),
        ("config.json", lambda facts: facts["config"].update(epochs="many")),
        ("config.json", lambda facts: facts["config"].update(teacher="../../x")),
        ("config.json", lambda facts: facts.update(class_names=["x", "y", "z"])),
        ("config.json", lambda facts: facts.clear()),
        ("model.json", lambda facts: facts.update(architecture="../../x")),
        ("model.json", lambda facts: facts.update(architecture="resnet152")),
        ("model.json", lambda facts: facts.update(head="lambda")),
        ("model.json", lambda facts: facts.update(head="hidden", hidden_units=300_000_000)),
        ("model.json", lambda facts: facts.update(head="hidden", hidden_units=4096)),
        ("model.json", lambda facts: facts.update(head="flattened_map")),
        ("model.json", lambda facts: facts.update(code="print(1)")),
        ("signature.json", lambda facts: facts.update(image_size=1_000_000)),
        ("signature.json", lambda facts: facts.update(class_names=["x"])),
        ("split.json", lambda facts: facts.update(train=["../x"])),
        ("split.json", lambda facts: facts.update(validation=3)),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(probability="sure")),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(probabilities=[1.0])),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(true_probability=7)),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(image_id="../x")),
        ("evaluation.json", lambda facts: facts["outcomes"][0].update(predicted_class_name="x")),
        ("evaluation.json", lambda facts: facts.update(outcomes=[])),
        ("calibration.json", lambda facts: facts.update(temperature="hot")),
        ("rejection.json", lambda facts: facts.update(min_familiarity=99)),
        ("rejection.json", lambda facts: facts.update(num_neighbors=0)),
    ],
)
def test_facts_of_another_kind(
    project_path: Path, workspace: Workspace, ending: str, change: Change, finished_run: FinishedRun
) -> None:
    members = members_of(project_path)
    name = named(members, f"/{ending}")
    facts = json.loads(members[name])
    change(facts)
    members[name] = json.dumps(facts).encode()
    assert_refused(workspace, zipped(listed(members)), "The project was not opened")


@pytest.mark.parametrize("ending", ["dataset.json", "config.json", "evaluation.json", "events.jsonl"])
@pytest.mark.parametrize("content", [b"", b"null", b"\xff\xfe", b"[" * 100_000, pickle.dumps([1])])
def test_files_that_are_no_facts(
    project_path: Path, workspace: Workspace, ending: str, content: bytes
) -> None:
    members = members_of(project_path)
    members[named(members, f"/{ending}")] = content
    assert_refused(workspace, zipped(listed(members)), "The project was not opened")


@pytest.mark.parametrize(
    "event",
    [
        {"event": "EpochEnded", "time": "now", "epoch": [], "phase": "head"},
        {
            "event": "BatchEnded",
            "time": 1.0,
            "epoch": "x",
            "step": 1,
            "loss": 1,
            "accuracy": 1,
            "num_images": 1,
        },
        {"event": "RunEnded", "time": 1.0, "outcome": "interrupted"},
        {"event": "RunEnded", "time": 1.0, "outcome": "<b>"},
        {"event": "RunEnded", "time": float("inf"), "outcome": "finished"},
    ],
)
def test_events_of_another_kind(project_path: Path, workspace: Workspace, event: dict) -> None:
    members = members_of(project_path)
    if event["event"] == "EpochEnded":
        event = {**event, "loss": 1.0, "accuracy": 1.0, "val_loss": 1.0, "val_accuracy": 1.0}
    members[named(members, "events.jsonl")] += json.dumps(event).encode() + b"\n"
    assert_refused(workspace, zipped(listed(members)), "content of events.jsonl is not valid")


@pytest.mark.parametrize(
    ("ending", "content"),
    [
        ("weights.npz", b"x"),
        ("weights.npz", arrays(kernel=np.zeros(3, np.float32))),
        ("weights.npz", arrays(kernel=np.zeros(6_300, np.float32))),
        ("weights.npz", arrays(kernel=np.array([{"a": 1}] * 4_000))),
        ("rejection.npz", b"x"),
        ("rejection.npz", arrays(bank=np.array([{"a": 1}]))),
        ("rejection.npz", arrays(bank=np.zeros((3, 5), np.float16))),
        ("rejection.npz", arrays(bank=np.zeros((3, 32), np.float32))),
        ("rejection.npz", arrays(bank=np.full((3, 32), np.nan, np.float16))),
        ("rejection.npz", arrays(bank=np.zeros((2001, 32), np.float16))),
        ("rejection.npz", arrays(bank=np.zeros((3, 32), np.float16), more=np.zeros(1))),
    ],
)
def test_arrays_of_another_kind(
    project_path: Path, workspace: Workspace, ending: str, content: bytes
) -> None:
    members = members_of(project_path)
    members[named(members, ending)] = content
    assert_refused(workspace, zipped(listed(members)), "The project was not opened")


def test_a_run_of_a_day_that_never_was(
    project_path: Path, workspace: Workspace, finished_run: FinishedRun
) -> None:
    forged = "20269999" + finished_run.run.id[8:]
    members = {
        name.replace(finished_run.run.id, forged): content.replace(
            finished_run.run.id.encode(), forged.encode()
        )
        for name, content in members_of(project_path).items()
    }
    assert_refused(workspace, zipped(listed(members)), "was not opened")


def test_packed_arrays_that_were_changed(project_path: Path, workspace: Workspace) -> None:
    members = members_of(project_path)
    name = named(members, "rejection.npz")
    draws = np.random.default_rng(0)
    for _try in range(20):
        content = bytearray(members[name])
        for place in draws.integers(0, len(content), 10):
            content[place] = draws.integers(256)
        content[60:64] = b"\xff\xff\xff\xff"
        assert_refused(workspace, zipped(listed({**members, name: bytes(content)})), "was not opened")


def test_what_is_listed_and_what_is_there_have_to_be_the_same(
    project_path: Path, workspace: Workspace, finished_run: FinishedRun
) -> None:
    members = members_of(project_path)
    for facts in (
        {"dataset": "20260101-000000-0123456789abcdef"},
        {"runs": []},
        {"runs": [finished_run.run.id, "20260101-000000-0123456789abcdef"]},
        {"sources": ["20260101-000000-0123456789abcdef"]},
    ):
        assert_refused(workspace, zipped(listed(members, **facts)), "photos or models do not match")
    for facts in (
        {"dataset": "../../x"},
        {"dataset": 7},
        {"runs": "abc"},
        {"runs": [["x"]]},
        {"runs": [finished_run.run.id] * 2},
        {"title": None},
    ):
        assert_refused(workspace, zipped(listed(members, **facts)), "is not valid")
