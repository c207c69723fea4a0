"""All projects of a class as one zip."""

from __future__ import annotations

import io
import zipfile

import pytest

from transfer_core.classroom.collect import collect_projects, collected_path
from transfer_core.classroom.people import Person, join
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.errors import NotFoundError
from transfer_core.projects.archive import ProjectStoppedError
from transfer_core.projects.open import open_project
from transfer_core.runs.erasing import remove_collected
from transfer_core.workspace import Workspace, new_id


@pytest.fixture
def pupils(workspace: Workspace, image_folder) -> list[Person]:
    """Two of one name with photos, and one without."""
    found = [join(workspace, name) for name in ("Mia/..", "Mia/..", "Ben")]
    for person in found[:2]:
        add_files(create_dataset(workspace.person(person.id), "colors: 1"), folder_source(image_folder))
    return found


@pytest.mark.usefixtures("pupils")
def test_each_pupil_has_a_folder_with_a_project_that_opens(workspace: Workspace, tmp_path) -> None:
    reported: list[tuple[int, int]] = []
    result = collect_projects(workspace, lambda done, total: reported.append((done, total)))
    path = collected_path(workspace, result.id)
    assert (result.num_people, result.num_bytes) == (2, path.stat().st_size)
    assert [(missed.name, missed.reason) for missed in result.missed] == [("Ben", "No photos yet.")]
    assert reported == [(1, 3), (2, 3), (3, 3)]
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [
            "01 Mia___/colors_ 1.project.zip",
            "02 Mia___ 2/colors_ 1.project.zip",
        ]
        opened = open_project(Workspace(tmp_path / "home"), io.BytesIO(archive.read(archive.namelist()[0])))
    assert opened.new_ids == (opened.dataset_id,)


@pytest.mark.parametrize(
    ("name", "shown"), [("Con", "Con_"), ("lpt1", "lpt1_"), ("Aux 2", "Aux 2"), ("..", "__")]
)
def test_names_that_windows_refuses_get_a_letter_more(
    workspace: Workspace, image_folder, name: str, shown: str
) -> None:
    add_files(create_dataset(workspace.person(join(workspace, "Mia").id), name), folder_source(image_folder))
    path = collected_path(workspace, collect_projects(workspace).id)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [f"01 Mia/{shown}.project.zip"]


@pytest.mark.usefixtures("pupils")
def test_a_later_file_takes_the_place_of_the_earlier(workspace: Workspace) -> None:
    first, second = collect_projects(workspace), collect_projects(workspace)
    with pytest.raises(NotFoundError, match="Collect them again"):
        collected_path(workspace, first.id)
    remove_collected(workspace)
    for identifier in (second.id, new_id(), "../class", ""):
        with pytest.raises(NotFoundError):
            collected_path(workspace, identifier)


def test_without_photos_there_is_nothing_to_collect(workspace: Workspace) -> None:
    join(workspace, "Ben")
    with pytest.raises(NotFoundError, match="Nobody has photos yet"):
        collect_projects(workspace)
    assert not list(workspace.root.rglob("*.zip"))


@pytest.mark.usefixtures("pupils")
def test_it_can_be_stopped_and_leaves_no_file(workspace: Workspace) -> None:
    with pytest.raises(ProjectStoppedError):
        collect_projects(workspace, should_stop=lambda: True)
    assert not list(workspace.root.rglob("*.zip"))
