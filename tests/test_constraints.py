"""The exact versions in constraints/ lie within the ranges of the requirements, on each supported Python."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import start

SYSTEMS = ("linux", "darwin", "win32")


def is_supported(version: tuple[int, int]) -> bool:
    try:
        start.check_python(version)
    except SystemExit:
        return False
    return True


SUPPORTED = [f"3.{minor}" for minor in range(30) if is_supported((3, minor))]


def read(file: Path) -> list[Requirement]:
    """Read the lines of a requirements or constraints file that name a package."""
    lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-r ")]


def pinned_version(pin: Requirement) -> str:
    """Return the only version that a line of a constraints file allows, or nothing."""
    specifiers = list(pin.specifier)
    exact = len(specifiers) == 1 and specifiers[0].operator == "==" and not pin.url
    return specifiers[0].version if exact else ""


def disagreements(folder: Path) -> Iterator[str]:
    """Yield each requirement that the constraints of a supported Python leave open or contradict."""
    requirements = [wanted for file in folder.glob("requirements*.txt") for wanted in read(file)]
    for python in SUPPORTED:
        file = folder / "constraints" / f"python-{python}.txt"
        if not file.is_file():
            yield f"{python}: no file"
            continue
        pins = read(file)
        yield from (f"{python}: not exact: {pin}" for pin in pins if not pinned_version(pin))
        for system in SYSTEMS:
            here = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system}
            for wanted in requirements:
                if wanted.marker and not wanted.marker.evaluate(here):
                    continue
                versions = [
                    pinned_version(pin)
                    for pin in pins
                    if canonicalize_name(pin.name) == canonicalize_name(wanted.name)
                    and (not pin.marker or pin.marker.evaluate(here))
                ]
                if len(versions) != 1 or not wanted.specifier.contains(versions[0]):
                    yield f"{python} on {system}: {wanted} but {versions}"


def test_each_requirement_is_pinned_within_its_range() -> None:
    assert list(disagreements(start.ROOT)) == []


def test_there_is_one_file_for_each_supported_python() -> None:
    names = {file.name for file in (start.ROOT / "constraints").iterdir()}
    assert names == {f"python-{python}.txt" for python in SUPPORTED}


def test_no_file_names_an_address() -> None:
    """A package index belongs to the settings of whoever installs."""
    assert not [file.name for file in (start.ROOT / "constraints").iterdir() if "://" in file.read_text()]


@pytest.mark.parametrize(
    ("before", "after", "python"),
    [
        ("keras==3.15.1\n", "keras==3.14.9\n", "3.11"),
        ("keras==3.15.1\n", "keras>=3.15.1\n", "3.12"),
        ("keras==3.15.1\n", "", "3.13"),
        ("keras==3.15.1\n", "keras==3.15.1 ; sys_platform == 'linux'\n", "3.13"),
    ],
)
def test_a_disagreement_is_seen(tmp_path: Path, before: str, after: str, python: str) -> None:
    (tmp_path / "requirements.txt").write_text("Keras~=3.15.1; python_version >= '3.11'\n")
    (tmp_path / "constraints").mkdir()
    for version in SUPPORTED:
        pin = "# nothing\n" if version == "3.10" else "keras==3.15.1\n"
        (tmp_path / "constraints" / f"python-{version}.txt").write_text(pin)
    assert list(disagreements(tmp_path)) == []
    changed = tmp_path / "constraints" / f"python-{python}.txt"
    changed.write_text(changed.read_text().replace(before, after))
    assert any(line.startswith(python) for line in disagreements(tmp_path))


def test_a_missing_file_is_seen(tmp_path: Path) -> None:
    shutil.copytree(start.ROOT / "constraints", tmp_path / "constraints")
    (tmp_path / "constraints" / "python-3.12.txt").unlink()
    assert list(disagreements(tmp_path)) == ["3.12: no file"]
