"""Inputs rebuilt from public bug reports give their classes, or a question or error that says what to do."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.conftest import ROOT
from transfer_core.data.checks.photo_check import examine
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.layout import read_layout
from transfer_core.data.sources.open_source import open_source
from transfer_core.errors import IngestError
from transfer_core.workspace import Workspace

CASES = ROOT.parent / "shared" / "cases"
FRUIT = {"apple": 12, "sky": 12}
MORE_FRUIT = {"apple": 16, "sky": 16}
SPECIES = {"Quercus sp.": 12, "Rosa sp.": 12, "Acer rubrum": 12}

pytestmark = pytest.mark.skipif(
    not CASES.is_dir(), reason="the inputs from bug reports are not beside the project"
)


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    return tmp_path / "unpacked"


def path_of(name: str, unpacked: Path) -> Path:
    """Return the folder or archive that a person brings."""
    (case,) = CASES.glob(f"{name}-*")
    if (case / "input.tar").is_file():
        with tarfile.open(case / "input.tar") as archive:
            archive.extractall(unpacked, filter="fully_trusted")
        case = unpacked
    folder = case / "input"
    inner = [path for path in folder.iterdir() if path.name in ("set", "dataset") or path.suffix == ".zip"]
    return inner[0] if len(inner) == 1 else folder


def brought(path: Path, tmp_path: Path) -> ImageDataset:
    with open_source(path) as files:
        reading = read_layout(files)
        dataset = replace(
            create_dataset(Workspace(tmp_path / "workspace"), "photos"), read_as=reading.read_as
        )
        return add_files(dataset, reading.files)


@pytest.mark.parametrize(
    ("case", "counts"),
    [
        *(
            (number, FRUIT)
            for number in [
                "04",
                "07",
                "10",
                "12",
                "13",
                "24",
                "30",
                "46",
                "47",
                "55",
                "60",
                "68",
                "74",
                "75",
                "87",
                "88",
                "89",
            ]
        ),
        *((number, MORE_FRUIT) for number in ["01", "02", "05", "48", "49", "69", "71"]),
        ("06", {"apple": 20, "sky": 20}),
        ("09", MORE_FRUIT),
        ("14", SPECIES),
        ("15", SPECIES),
        ("16", {"りんご": 12, "空": 12}),
        ("17", {"ソバ": 12, "ソース": 12, "表札": 12}),
        ("18", {"苹果": 12, "天空": 12}),
        ("19", {"苹果": 12, "天空": 12}),
        ("26", {"A": 12, "B": 12, "a": 12, "b": 12}),
        ("27", {"🐈": 12, "\U0001fabf": 12, "\U0001face": 12}),
        ("28", {"می\u200cروم": 12, "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627": 12}),
        ("29", {str(number): 10 for number in range(1, 13)}),
        ("39", {"00000": 12, "00001": 12, "00002": 12}),
        ("40", {"normal": 12, "pneumonia": 12}),
        ("42", {"apple": 24, "sky": 24}),
        ("43", {"con": 12, "aux": 12, "AC": 12}),
        ("51", {"apple": 16, "leaf": 4, "sky": 16}),
        ("52", {"apple": 14, "sky": 14}),
        ("57", {"apple": 12, "sky": 12, "leaf": 12}),
        ("58", {"nv": 12, "mel": 12}),
        ("59", {"AFRICAN CROWNED CRANE": 16, "BARN OWL": 16}),
        ("61", {"Äpfel": 12, "Himmel, blau": 12}),
        ("62", {"яблоко": 12, "небо": 12}),
        ("63", {"リンゴ": 12, "空": 12}),
        ("64", {"0": 12, "1": 12}),
        ("67", {"cat": 20, "dog": 20}),
        ("73", {"a": 12, "b": 12, "c": 12}),
    ],
)
def test_its_classes_are_found(case: str, counts: dict[str, int], tmp_path: Path, unpacked: Path) -> None:
    assert brought(path_of(case, unpacked), tmp_path).counts() == counts


def test_long_names_of_classes_are_not_cut(tmp_path: Path, unpacked: Path) -> None:
    counts = brought(path_of("25", unpacked), tmp_path).counts()
    assert list(counts.values()) == [12, 12, 12] and min(map(len, counts)) > 60


@pytest.mark.parametrize(
    ("case", "num_by_split"),
    [
        ("01", (24, 0, 8)),
        ("05", (24, 0, 8)),
        ("06", (24, 8, 8)),
        ("09", (24, 0, 8)),
        ("12", (16, 4, 4)),
        ("48", (24, 0, 8)),
        ("49", (24, 8, 0)),
        ("59", (24, 8, 0)),
        ("69", (20, 6, 6)),
        ("71", (20, 6, 6)),
    ],
)
def test_its_split_is_kept(
    case: str, num_by_split: tuple[int, int, int], tmp_path: Path, unpacked: Path
) -> None:
    images = brought(path_of(case, unpacked), tmp_path).images
    splits = [image.given_split for image in images]
    assert (splits.count("train"), splits.count("validation"), splits.count("test")) == num_by_split


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("11", "Are their classes in their names: Abyssinian, great_pyrenees?"),
        ("21", "packed in a way that cannot be read here (Deflate64)"),
        ("22", "packed in a way that cannot be read here (Zstandard)"),
        ("23", "locked with a password"),
        ("44", "Make one folder for each class."),
        ("45", "unpack it into the folder of its class"),
        ("50", "color, grayscale and segmented seem to hold the same photos in different versions."),
        ("53", "links are not followed"),
    ],
)
def test_it_is_asked_about_or_refused(case: str, words: str, tmp_path: Path, unpacked: Path) -> None:
    with pytest.raises(IngestError) as caught:
        brought(path_of(case, unpacked), tmp_path)
    assert words in str(caught.value)


@pytest.mark.parametrize(("name", "kind"), [("photos.rar", "RAR"), ("photos.7z", "7z")])
def test_other_archives_are_named(name: str, kind: str) -> None:
    (path,) = CASES.glob(f"65-*/input/{name}")
    with pytest.raises(IngestError, match=f"{kind} archive"), open_source(path):
        pass


@pytest.mark.parametrize(
    ("case", "kind", "words"),
    [
        ("26", "same_but_case", "capital letters"),
        ("37", "first_frame", "Only the first one of each counts."),
        ("38", "other_format", "formats that cannot be read here"),
        ("40", "stretched", "stretched from black to white"),
        ("49", "no_class", "8 files have no class"),
        ("51", "one_sided", "leaf"),
        ("67", "subfolders", "beagle, persian, poodle, siamese"),
        ("68", "missing", "6 files are named in the table but are missing"),
    ],
)
def test_the_person_is_informed(case: str, kind: str, words: str, tmp_path: Path, unpacked: Path) -> None:
    problems = {problem.kind: problem for problem in examine(brought(path_of(case, unpacked), tmp_path))}
    assert kind in problems and words in f"{problems[kind].title} {problems[kind].sentence}"
