"""Trying other Pythons, with a project of a few lines in the place of the app."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tools import try_pythons

OWN = "{}.{}".format(*sys.version_info)
# In the place of a virtual environment with everything: a .venv that runs the Python of these tests.
SET_UP = f"""
import os
from pathlib import Path
assert not Path("not_tracked.txt").exists()
python = Path(".venv/bin/python")
python.parent.mkdir(parents=True)
python.write_text('#!/bin/sh\\nexec "{sys.executable}" "$@"\\n')
python.chmod(0o755)
"""
TRAIN = 'if __name__ == "__main__":\n    print({}, sep="\\n")\n'
TESTS = """
import pytest
def test_passes(): pass
def test_fails(): raise AssertionError
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs programs that are scripts for a shell")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that git tracks, with one file that it does not track."""
    files = {
        "start.py": SET_UP,
        "pyproject.toml": "",
        "transfer_core/__init__.py": "",
        "transfer_core/__main__.py": TRAIN.format("'progress', '{\"val_accuracy\": 0.675}'"),
        "pages/1_Model.py": "raise AssertionError('a page is run by Streamlit')",
        "pages/ui/__init__.py": "",
        "tests/core/test_all.py": TESTS,
        "tests/pages/test_welcome.py": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    subprocess.check_call(["git", "init", "-q"], cwd=tmp_path)
    subprocess.check_call(["git", "add", "."], cwd=tmp_path)
    (tmp_path / "not_tracked.txt").touch()
    return tmp_path


@pytest.fixture
def no_pythons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in the place of pyenv's, on a computer without any Python but for what is put there."""
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    return tmp_path / "pyenv"


def write_program(file: Path, script: str) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def test_row_has_the_versions_and_the_outcome_of_each_step(project: Path) -> None:
    python, *cells = try_pythons.try_python(OWN, project)
    assert python.startswith(f"{OWN}.")
    assert cells[:4] == [version(name) for name in ("tensorflow", "keras", "streamlit", "pillow")]
    assert cells[4:] == ["2 modules", "68% validation accuracy", "1 failed, 1 passed, 1 skipped"]


def test_the_quick_tests_are_in_their_places() -> None:
    paths = [word for word in try_pythons.QUICK_TESTS if word.startswith("tests/")]
    assert paths
    assert all((try_pythons.start.ROOT / path).exists() for path in paths)
    patterns = [pattern.removeprefix("*/").removesuffix("/*") for pattern in try_pythons.SLOW_TESTS]
    unused = [name for name in patterns if not list(try_pythons.start.ROOT.glob(f"tests/core/**/{name}"))]
    assert unused == []


def test_each_failing_step_is_a_reason_in_its_column(project: Path) -> None:
    (project / "pages" / "ui" / "__init__.py").write_text("import no_such_package\n")
    (project / "transfer_core" / "__main__.py").write_text(
        "if __name__ == '__main__':\n    raise SystemExit('no memory')"
    )
    (project / "pyproject.toml").write_text("[tool.pytest.ini_options]\nminversion = 999\n")
    import_cell, training, tests = try_pythons.try_python(OWN, project)[5:]
    assert import_cell == "failed: ModuleNotFoundError: No module named 'no_such_package'"
    assert training == "failed: no memory"
    assert tests.startswith("failed: ") and "999" in tests


def test_a_failing_set_up_is_a_row_and_an_exit_code(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "start.py").write_text("raise SystemExit('no space | left')")
    monkeypatch.setattr(try_pythons.start, "ROOT", project)
    monkeypatch.setattr(try_pythons.start, "PYTHON", str(project / ".venv" / "bin" / "python"))
    assert try_pythons.main([OWN]) == 1
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == f"| {OWN} | - | - | - | - | set-up failed: no space / left | - | - |"


def test_a_missing_python_is_a_row(no_pythons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert try_pythons.main([]) == 0
    header, line, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("| Python | tensorflow |")
    assert line.count("---") == header.count("|") - 1
    others = [python for python in try_pythons.SUPPORTED if python != OWN]
    assert rows == [f"| {python} | - | - | - | - | not found | - | - |" for python in others]


def test_programs_that_do_not_run_are_passed_over(no_pythons: Path) -> None:
    write_program(no_pythons.with_name("shims") / f"python{OWN}", "exit 127")
    write_program(no_pythons / "versions" / f"{OWN}.0" / "bin" / "python", "exit 1")
    write_program(no_pythons / "versions" / f"{OWN}.9" / "bin" / "python", f'exec "{sys.executable}" "$@"')
    assert try_pythons.find_python(OWN) == sys.executable


def test_another_version_under_the_name_is_passed_over(no_pythons: Path) -> None:
    write_program(no_pythons.with_name("shims") / "python3.9", f'exec "{sys.executable}" "$@"')
    assert try_pythons.find_python("3.9") is None
