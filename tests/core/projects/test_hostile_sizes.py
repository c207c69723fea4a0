"""Numbers and files of a stranger's that fit their names, and would fail or cost much later on."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.core.projects.conftest import listed, members_of, opened, zipped
from tests.core.projects.test_hostile import Change, arrays, assert_refused, named
from transfer_core.workspace import Workspace


@pytest.mark.parametrize("ending", [".jpg", "weights.npz"])
def test_no_small_file_becomes_a_large_picture_or_network(
    project_path: Path, workspace: Workspace, ending: str
) -> None:
    members = members_of(project_path)
    name = named(members, ending)
    buffer = zipped({key: content for key, content in members.items() if key != name})
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, members[name])
    assert_refused(workspace, buffer, "it is compressed")


def test_weights_packed_in_their_own_file(project_path: Path, workspace: Workspace) -> None:
    members = members_of(project_path)
    name = named(members, "weights.npz")
    with np.load(io.BytesIO(members[name])) as file:
        numbers = {key: file[key] for key in file.files}
    packed = io.BytesIO()
    np.savez_compressed(packed, **numbers)
    # As long as the arrays themselves, so that its size alone says nothing.
    content = packed.getvalue()
    padding = bytes(len(members[name]) - len(content))
    with zipfile.ZipFile(packed, "a") as archive:
        archive.comment = padding[:65_535]
    assert len(packed.getvalue()) >= len(members[name])
    members[name] = packed.getvalue()
    assert_refused(workspace, zipped(listed(members)), "does not match its model")
    # Headers that say another number of values.
    few = {key: value[:1] for key, value in numbers.items()}
    members[name] = arrays(**few, **{"more": np.zeros(sum(v.size for v in numbers.values()), np.float32)})
    assert_refused(workspace, zipped(listed(members)), "does not match its model")


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["student"].update(num_bytes=0),
        lambda facts: facts["teacher"].update(seconds_per_image=0.0),
        lambda facts: facts["teacher"].update(seconds_per_image=float("inf")),
        lambda facts: facts["student"].update(accuracy=1.5),
        lambda facts: facts["student"].update(accuracy=float("nan")),
        lambda facts: facts.update(num_images=0),
        lambda facts: facts.update(student=None),
    ],
)
def test_measures_of_a_taught_model_that_cannot_be(
    project_path: Path, workspace: Workspace, change: Change
) -> None:
    members = members_of(project_path)
    one = {"accuracy": 0.5, "num_bytes": 100, "seconds_per_image": 0.1}
    facts = {"teacher": one, "student": dict(one), "num_images": 3}
    name = named(members, "config.json").replace("config.json", "distillation.json")
    assert opened(workspace, zipped(listed({**members, name: json.dumps(facts).encode()}))).run_ids
    shutil.rmtree(workspace.root)
    change(facts)
    members[name] = json.dumps(facts).encode()
    assert_refused(workspace, zipped(listed(members)), "content of distillation.json is not valid")


@pytest.mark.parametrize(
    "name",
    [
        f"datasets/20260101-000000-0123456789abcdef/images/{'a' * 32}.jpg",
        "runs/20260101-000000-0123456789abcdef/weights.npz",
        "sources/20260101-000000-0123456789abcdef/weights.npz",
    ],
)
def test_folders_that_nothing_belongs_to(project_path: Path, workspace: Workspace, name: str) -> None:
    members = {**members_of(project_path), name: b"x"}
    assert_refused(workspace, zipped(listed(members)), "photos or models do not match")
