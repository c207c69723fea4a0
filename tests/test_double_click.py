"""The files that start the app by a double-click."""

import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

COMMAND, DESKTOP, BAT = (f"Start Transfer Studio.{ending}" for ending in ("command", "desktop", "bat"))
PYTHONS = [*(f"python3.{minor}" for minor in range(9, 15)), "python3"]
Finished = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="runs them with sh")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files, a start.py that prints how it was started, and no Python that fits."""
    folder = tmp_path / "Transfer Studio 'one' $HOME"
    folder.mkdir()
    for name in (COMMAND, DESKTOP):
        shutil.copy(ROOT / name, folder)
    (folder / "start.py").write_text("import os, sys\nprint('started', sys.argv[1:], os.getcwd())\n")
    (tmp_path / "bin").mkdir()
    for name in PYTHONS:
        make_program(tmp_path / "bin" / name, "exit 1")
    return folder


def make_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def make_python(folder: Path, name: str) -> None:
    """Let a Python be found by this name."""
    make_program(folder.parent / "bin" / name, f'exec "{sys.executable}" "$@"')


def run(folder: Path, *command: str) -> Finished:
    environment = {**os.environ, "PATH": f"{folder.parent / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd="/", env=environment, input="\n", capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize("python", ["python3.10", "python3.13", "python3"])
def test_a_python_that_fits_starts_the_app(folder: Path, python: str) -> None:
    make_python(folder, python)
    finished = run(folder, str(folder / COMMAND), "--class")
    assert finished.stdout == f"started ['--class'] {folder}\n"
    assert finished.returncode == 0


@pytest.mark.parametrize("python", ["python3.9", "python3.14"])
def test_without_one_a_sentence_waits_to_be_read(folder: Path, python: str) -> None:
    make_python(folder, python)
    finished = run(folder, str(folder / COMMAND))
    assert "needs Python 3.10 to 3.13" in finished.stdout and "Press Enter" in finished.stdout
    assert finished.returncode == 1


def test_a_start_that_fails_leaves_its_sentence_on_the_screen(folder: Path) -> None:
    make_python(folder, "python3.12")
    (folder / "start.py").write_text("raise SystemExit('Port 8501 is taken')")
    finished = run(folder, str(folder / COMMAND))
    assert "Port 8501 is taken" in finished.stderr
    assert "Press Enter" in finished.stdout


def test_alone_the_file_says_where_it_belongs(folder: Path) -> None:
    (folder / "start.py").unlink()
    assert "beside start.py" in run(folder, str(folder / COMMAND)).stdout


@pytest.mark.parametrize("beginning", ["", "file://"])
def test_the_desktop_file_starts_from_wherever_it_lies(folder: Path, beginning: str) -> None:
    make_python(folder, "python3.11")
    entries = (folder / DESKTOP).read_text().splitlines()
    (line,) = [entry.removeprefix("Exec=") for entry in entries if entry.startswith("Exec=")]
    # A value escapes each backslash, and a word in quotes each dollar sign.
    words = shlex.split(line.replace("\\\\", "\\").replace("\\$", "$"))
    command = [f"{beginning}{folder / DESKTOP}" if word == "%k" else word for word in words]
    assert run(folder, *command).stdout == f"started [] {folder}\n"
    assert "Terminal=true" in entries


def test_the_files_may_be_executed() -> None:
    for name in (COMMAND, DESKTOP):
        assert (ROOT / name).stat().st_mode & stat.S_IXUSR


def test_windows_gets_its_line_ends_and_asks_for_the_same_pythons() -> None:
    assert "*.bat text eol=crlf" in (ROOT / ".gitattributes").read_text()
    content = (ROOT / BAT).read_bytes()
    assert content.isascii() and content.count(b"\n") == content.count(b"\r\n")
    text = content.decode()
    assert all(f'"py -3.{minor}"' in text for minor in range(10, 14))
    condition = "(3, 10) <= sys.version_info[:2] <= (3, 13)"
    assert condition in text and condition in (ROOT / COMMAND).read_text()
    assert "%%~P start.py %*" in text and 'pushd "%~dp0"' in text and text.count("pause") == 3
