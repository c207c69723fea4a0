"""`ingest` on the command line: every way in, the split, and every problem with its kind, files and severity."""

from __future__ import annotations

import csv
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeImage
from tests.films import film, scene
from transfer_core.cli.main import main
from transfer_core.data.dataset import ImageDataset
from transfer_core.workspace import Workspace


@pytest.fixture
def ingest(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], workspace: Workspace) -> Any:
    """`ingest(folder)` returns the exit code, the facts, and what was said on standard error."""

    def call(*arguments: object, command: str = "ingest") -> tuple[int, dict[str, Any], str]:
        words = [
            "transfer_core",
            command,
            *map(str, arguments),
            "--json",
            "--workspace",
            str(workspace.root),
        ]
        monkeypatch.setattr("sys.argv", words)
        capfd.readouterr()
        exit_code = main()
        out, err = capfd.readouterr()
        return exit_code, json.loads(out) if out else {}, err

    return call


def problems(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {problem["kind"]: problem for problem in facts["problems"]}


def test_a_folder_with_two_meanings_needs_an_option(ingest: Any, image_folder: Path) -> None:
    for part in ("spring", "autumn of 2024"):
        shutil.copytree(image_folder, image_folder.parent / "seasons" / part)
    folder = image_folder.parent / "seasons"
    exit_code, facts, said = ingest(folder)
    assert (exit_code, facts) == (1, {})
    options = "--only-folder 'autumn of 2024', --only-folder spring, --layout together, --layout classes."
    assert said.strip().endswith(f"Which ones do you want? Say so with one of: {options}")
    exit_code, facts, _said = ingest(folder, "--only-folder", "autumn of 2024")
    assert exit_code == 0
    assert facts["counts"] == {"blue": 8, "green": 8, "red": 8}
    assert facts["read_as"] == "Read as 3 classes, from folders. Only the folder autumn of 2024 is used."


def test_options_for_the_layout_exclude_each_other(ingest: Any, image_folder: Path) -> None:
    exit_code, facts, said = ingest(image_folder, "--layout", "classes", "--label-column", "dx")
    assert (exit_code, facts) == (2, {})
    assert "--layout, --only-folder and --label-column mean different things." in said
    assert ingest(image_folder, "--layout", "classes")[0] == 0


def test_every_problem_is_listed(ingest: Any, image_folder: Path, make_image: MakeImage) -> None:
    (image_folder / "red" / "notes.txt").write_text("not a picture")
    whole = make_image("red", seed=9, image_format="JPEG", size=(200, 160))
    (image_folder / "red" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    same = (image_folder / "red" / "red-0.jpg").read_bytes()
    (image_folder / "red" / "again.jpg").write_bytes(same)
    (image_folder / "violet").mkdir()
    (image_folder / "violet" / "other.jpg").write_bytes(same)
    exit_code, facts, _err = ingest(image_folder)
    found = problems(facts)
    assert exit_code == 0
    assert found["not_an_image"]["files"] == ["red/notes.txt"]
    assert found["damaged"]["files"] == ["red/half.jpg"]
    assert found["duplicate"]["files"] == ["red/red-0.jpg"]
    assert found["other_class"]["files"] == ["violet/other.jpg"]
    assert found["other_class"]["severity"] == "warning"
    assert found["few_images"]["severity"] == "warning"
    assert all(problem["sentence"] for problem in facts["problems"])


def test_a_dataset_that_cannot_be_trained_is_listed_and_refused(ingest: Any, image_folder: Path) -> None:
    shutil.rmtree(image_folder / "red")
    shutil.rmtree(image_folder / "green")
    exit_code, facts, err = ingest(image_folder)
    assert problems(facts)["one_class"]["severity"] == "error"
    assert exit_code == 1
    assert "There is only one class: blue." in err


def test_a_tar(ingest: Any, image_folder: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as archive:
        archive.add(image_folder, "colors")
    assert ingest(tmp_path / "packed.tar.gz")[1]["counts"] == {"blue": 8, "green": 8, "red": 8}


def test_a_table_of_paths_and_labels(ingest: Any, image_folder: Path) -> None:
    with (image_folder / "labels.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label"])
        rows.writerows(
            [path.relative_to(image_folder).as_posix(), f"the {path.parent.name}"]
            for path in sorted(image_folder.glob("*/*.jpg"))
        )
    expected = {"the blue": 8, "the green": 8, "the red": 8}
    assert ingest(image_folder / "labels.csv")[1]["counts"] == expected
    assert ingest(image_folder)[1]["counts"] == expected


def test_folders_of_a_split_are_kept_or_ignored(ingest: Any, image_folder: Path, tmp_path: Path) -> None:
    for number, split in enumerate(
        ["train", "train", "train", "train", "train", "validation", "test", "test"]
    ):
        for path in image_folder.glob(f"*/*-{number}.jpg"):
            target = tmp_path / "own" / split / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    facts = ingest(tmp_path / "own")[1]
    assert facts["split_by"] == "folders"
    assert [facts[f"num_{split}_images"] for split in ("train", "validation", "test")] == [15, 3, 6]
    pooled = ingest(tmp_path / "own", "--ignore-own-split")[1]
    assert [pooled[f"num_{split}_images"] for split in ("train", "validation", "test")] == [18, 6, 0]


def test_share_and_folds(ingest: Any, image_folder: Path, workspace: Workspace) -> None:
    assert ingest(image_folder, "--validation-split", 0.5)[1]["num_validation_images"] == 12
    facts = ingest(image_folder, "--folds", 4)[1]
    assert facts["split_by"] == "folds"
    assert len(ImageDataset.load(workspace, facts["dataset_id"]).folds()) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--validation-split", 2], "The validation share is 2.0."),
        (["--folds", 99], "The number of parts is 99."),
    ],
)
def test_a_split_out_of_range_is_refused(
    ingest: Any, image_folder: Path, options: list[object], words: str
) -> None:
    exit_code, _facts, err = ingest(image_folder, *options)
    assert exit_code == 1
    assert words in err


def test_videos_become_photos_of_classes(ingest: Any, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.mp4" for name in ("cup-1", "cup-2", "mug-1", "mug-2")]
    for first, path in enumerate(paths):
        path.write_bytes(film([scene(10 * first + number) for number in range(6)]).getvalue())
    _code, facts, _err = ingest(paths[0], "--class", "cup", "--frames", 4, command="ingest-video")
    assert (facts["num_added"], facts["counts"]) == (4, {"cup": 4})
    for path in paths[1:]:
        arguments = ("--class", path.name[:3], "--dataset", facts["dataset_id"])
        _code, facts, _err = ingest(path, *arguments, command="ingest-video")
    assert facts["counts"] == {"cup": 10, "mug": 12}
    assert all(facts["counts_by_split"]["validation"].values())


def test_a_video_that_is_none_is_one_line(ingest: Any, tmp_path: Path) -> None:
    (tmp_path / "mug.mp4").write_bytes(b"no video at all")
    exit_code, facts, err = ingest(tmp_path / "mug.mp4", "--class", "mug", command="ingest-video")
    assert (exit_code, facts) == (1, {})
    assert err == "Error: mug.mp4 is not a video that can be read here. Save it as mp4, mov or webm.\n"
