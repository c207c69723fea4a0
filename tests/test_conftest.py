"""The longest files are begun first; where a browser is required, no browser test passes by not running."""

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
    """Run the browser tests of a folder and return the last line, without the time it took."""
    settings = {name: os.environ[name] for name in ("SYSTEMROOT", "HOME") if name in os.environ}
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "tests/e2e"],
        cwd=folder,
        env={**settings, "PATH": "", "PYTHONPATH": str(CONFTEST.parents[1]), **environment},
        capture_output=True,
        text=True,
    )
    return finished.stdout.splitlines()[-1].split(" in ")[0]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with this conftest.py and a few browser tests."""
    (tmp_path / "tests" / "e2e").mkdir(parents=True)
    shutil.copy(CONFTEST, tmp_path / "tests")
    (tmp_path / "tests" / "e2e" / "test_pages.py").write_text(BROWSER_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = browser: in a browser\n")
    return tmp_path


def test_with_a_browser_they_run(project: Path) -> None:
    assert summary(project, CHROMIUM=sys.executable) == "1 passed, 1 skipped, 1 xfailed"


def test_without_a_browser_they_are_skipped(project: Path) -> None:
    assert summary(project) == "3 skipped"


def test_where_a_browser_is_required_a_missing_one_is_a_failure(project: Path) -> None:
    assert summary(project, TRANSFER_STUDIO_REQUIRE_BROWSER="1") == "1 xfailed, 2 errors"


def test_where_a_browser_is_required_skipping_is_a_failure(project: Path) -> None:
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
