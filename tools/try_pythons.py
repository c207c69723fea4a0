"""Try Transfer Studio on the Pythons of this computer: `python -m tools.try_pythons [3.12 ...]`.

Without arguments it tries all supported Pythons but the running one. For each, start.py sets up a copy of the
tracked files in a temporary folder (4 GB, deleted afterwards). There every module is imported, a small model is
trained on the command line, and the quick tests run. The table goes to standard output as Markdown, progress and
the output of failed steps to standard error. The exit code is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import start

SUPPORTED = [f"3.{minor}" for minor in range(10, 14)]
PACKAGES = ("tensorflow", "keras", "streamlit", "pillow")
COLUMNS = ("Python", *PACKAGES, "import", "training", "tests")
SECONDS_A_STEP = 3600
READ_VERSIONS = f"""
import importlib.metadata, json, platform
print(json.dumps([platform.python_version(), *map(importlib.metadata.version, {PACKAGES})]))
"""
# Pages are named with a number in front, which no import can name: Streamlit runs them.
IMPORT_ALL = """
import importlib, pkgutil
found = [module.name for room in ("transfer_core", "pages") for module in pkgutil.walk_packages([room], room + ".")]
names = [name for name in found if all(part.isidentifier() for part in name.split("."))]
for name in names:
    importlib.import_module(name)
print(len(names), "modules")
"""
TRAIN = (
    "-m",
    "transfer_core",
    "train",
    "sample:pictures",
    "--epochs",
    "2",
    "--json",
    "--workspace",
    "workspace",
)
# What depends most on the versions of the packages, in a few minutes: no whole rooms of child processes, and none
# of the files that train most often.
SLOW_TESTS = (
    *("*/backbones/*", "*/export/*", "*/projects/*", "*_command*.py"),
    *("*/test_boundaries.py", "*/test_cross_validation.py", "*/test_freezing.py", "*/test_train.py"),
)
QUICK_TESTS = (
    *("-n", "2", "--dist", "loadfile", "tests/core", "tests/pages/test_welcome.py"),
    *(f"--ignore-glob={pattern}" for pattern in SLOW_TESTS),
)


class StepFailed(Exception):
    """A command ended with an error; the message is the last line that it printed."""


def main(arguments: list[str]) -> int:
    """Try the Pythons one after the other, print the table and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.try_pythons", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "versions", nargs="*", metavar="3.X", help="default: all supported but the running one"
    )
    own = "{}.{}".format(*sys.version_info)
    versions = parser.parse_args(arguments).versions or [version for version in SUPPORTED if version != own]
    rows = [try_python(version, start.ROOT) for version in versions]
    for cells in (COLUMNS, ["---"] * len(COLUMNS), *rows):
        print("|", " | ".join(cells), "|")
    return int(any("failed" in cell for row in rows for cell in row))


def try_python(version: str, source: Path) -> list[str]:
    """Set up the tracked files of `source` with a Python such as "3.12" and return its row of the table."""
    unknown = ["-"] * len(PACKAGES)
    python = find_python(version)
    if not python:
        return [version, *unknown, "not found", "-", "-"]
    print(f"Python {version}: {python}", file=sys.stderr)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        project = Path(folder) / "project"
        venv_python = str(project / Path(start.PYTHON).relative_to(start.ROOT))
        try:
            copy_tracked_files(source, project)
            run("set up", project, python, "start.py", "test", "--version")
            versions = json.loads(run("read versions", project, venv_python, "-c", READ_VERSIONS))
        except StepFailed as failure:
            return [version, *unknown, f"set-up failed: {failure}", "-", "-"]
        steps = (import_modules, train_sample, run_quick_tests)
        return [*versions, *(cell_of(step, project, venv_python) for step in steps)]


def find_python(version: str) -> str | None:
    """Return the path of a Python such as "3.12" that runs, or None."""
    for command in candidates(version):
        script = "import sys; print(sys.executable); print('%d.%d' % sys.version_info[:2])"
        try:
            lines = subprocess.check_output([*command, "-c", script], text=True, stderr=subprocess.DEVNULL)
        except (OSError, subprocess.CalledProcessError):
            continue
        path, found = lines.splitlines()
        if found == version:
            return path
    return None


def candidates(version: str) -> Iterator[list[str]]:
    """Yield commands that may run this Python; pyenv's on the PATH do only where pyenv is set to that version."""
    yield [f"python{version}"]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for program in (
        "versions/{}.*/bin/python",
        "versions/{}.*/python.exe",
        "pyenv-win/versions/{}.*/python.exe",
    ):
        yield from ([str(path)] for path in pyenv.glob(program.format(version)))
    if os.name == "nt":
        yield ["py", f"-{version}"]


def copy_tracked_files(source: Path, project: Path) -> None:
    """Copy the files that git tracks, with the changes that are not committed yet."""
    for name in run("list files", source, "git", "ls-files", "-z").split("\0"):
        if (source / name).is_file():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, project / name)


def run(title: str, folder: Path, *command: str) -> str:
    """Report the title, run a command in a folder and return its standard output.

    Raises:
        StepFailed: It cannot be run, ended with an error or took more than an hour.
    """
    print(f"  {title} ...", file=sys.stderr, flush=True)
    try:
        finished = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS_A_STEP,
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise StepFailed(str(problem)) from problem
    if finished.returncode != 0:
        print(finished.stdout, finished.stderr, sep="\n", file=sys.stderr)
        output = finished.stderr.strip() or finished.stdout.strip() or f"exit code {finished.returncode}"
        raise StepFailed(output.splitlines()[-1].replace("|", "/"))
    return finished.stdout


def cell_of(step: Callable[[Path, str], str], project: Path, python: str) -> str:
    """Return what a step gives for its column, or the reason why it failed."""
    try:
        return step(project, python)
    except StepFailed as failure:
        return f"failed: {failure}"


def import_modules(project: Path, python: str) -> str:
    """Import every module of the engine and of the app."""
    return run("import", project, python, "-c", IMPORT_ALL).splitlines()[-1]


def train_sample(project: Path, python: str) -> str:
    """Train the smallest pretrained network that needs no download on the sample pictures."""
    result = json.loads(run("train", project, python, *TRAIN).splitlines()[-1])
    return f"{result['val_accuracy']:.0%} validation accuracy"


def run_quick_tests(project: Path, python: str) -> str:
    """Count the outcomes of the quick tests; failed tests are an outcome as well."""
    report = project / "tests.xml"
    try:
        run("test", project, python, "-m", "pytest", *QUICK_TESTS, f"--junitxml={report}")
    except StepFailed:
        if not report.is_file():
            raise
    suite = ElementTree.parse(report).getroot()[0]
    total, skipped, *bad = (int(suite.attrib[name]) for name in ("tests", "skipped", "failures", "errors"))
    failed = f"{sum(bad)} failed, " if any(bad) else ""
    return f"{failed}{total - skipped - sum(bad)} passed, {skipped} skipped"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
