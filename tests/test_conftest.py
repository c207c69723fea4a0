"""The longest test files start first, and a required browser makes skipped browser tests fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONGEST_FILES

CONFTEST = Path(__file__).with_name("conftest.py")
BROWSER_TESTS = """
import pytest
pytestmark = pytest.mark.browser
def test_runs(browser_path): assert browser_path
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
@pytest.mark.xfail(strict=True)
def test_known_to_fail(): raise AssertionError
"""
OPTIONS = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--continue-on-collection-errors")
SKIPPED_MODULE = "import pytest\npytest.importorskip('there_is_no_such_module')\n"


def summary(folder: Path, **environment: str) -> str:
    """Run the browser tests of a project and return the summary line without the duration."""
    return output(folder, **environment).splitlines()[-1].split(" in ")[0]


def output(folder: Path, **environment: str) -> str:
    """Run the browser tests of a project and return the output."""
    settings = {name: os.environ[name] for name in ("SYSTEMROOT", "HOME") if name in os.environ}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "tests/e2e"],
        cwd=folder,
        env={**settings, "PATH": "", "PYTHONPATH": str(CONFTEST.parents[1]), **environment},
        capture_output=True,
        text=True,
    )
    return finished.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a copy of conftest.py and a few browser tests."""
    (tmp_path / "tests" / "e2e").mkdir(parents=True)
    shutil.copy(CONFTEST, tmp_path / "tests")
    (tmp_path / "tests" / "e2e" / "test_pages.py").write_text(BROWSER_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser: in a browser\n")
    return tmp_path


def test_browser_tests_run_with_a_browser(project: Path) -> None:
    assert summary(project, CHROMIUM=sys.executable) == "1 passed, 1 skipped, 1 xfailed"


def test_browser_tests_are_skipped_without_a_browser(project: Path) -> None:
    assert summary(project) == "3 skipped"


def test_skips_are_counted_by_reason(project: Path) -> None:
    tests = project / "tests" / "e2e" / "test_pages.py"
    tests.with_name("test_more.py").write_text(tests.read_text())
    printed = output(project, CHROMIUM=sys.executable)
    assert "= 2 skipped =" in printed
    assert "\n2 x not today\n" in printed


def test_a_missing_required_browser_fails(project: Path) -> None:
    assert summary(project, TRANSFER_STUDIO_REQUIRE_BROWSER="1") == "1 xfailed, 2 errors"


def test_skipping_fails_if_a_browser_is_required(project: Path) -> None:
    (project / "tests" / "e2e" / "test_skipped.py").write_text(SKIPPED_MODULE)
    counted = summary(project, CHROMIUM=sys.executable, TRANSFER_STUDIO_REQUIRE_BROWSER="1")
    assert counted == "1 passed, 1 xfailed, 2 errors"


def test_the_longest_files_are_begun_first_whatever_the_number_of_their_tests(project: Path) -> None:
    long = project / "tests" / LONGEST_FILES[0]
    other = long.with_name("test_a.py")
    long.write_text("def test_it(): pass")
    other.write_text("def test_one(): pass\ndef test_two(): pass")
    command = [sys.executable, "-m", "pytest", *OPTIONS, "-vv", "-n", "1", "--dist", "loadfile", long, other]
    finished = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(CONFTEST.parents[1])},
        capture_output=True,
        text=True,
    )
    names = [line.split("::")[1].strip() for line in finished.stdout.splitlines() if "PASSED" in line]
    assert names == ["test_it", "test_one", "test_two"], finished.stdout
    assert all((CONFTEST.parent / name).is_file() for name in LONGEST_FILES)
