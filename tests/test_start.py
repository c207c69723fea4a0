"""start.py in a real process and its own folder, with stand-ins for Streamlit and pytest."""

import ast
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import start

SCRIPT = Path(start.__file__)
PRINT_ARGUMENTS = 'import sys\nprint("started:", *sys.argv[1:])\nraise SystemExit(7)\n'
WAIT_WHEN_INSTALLING = """\
import signal, sys
signal.signal(signal.SIGINT, lambda *_: sys.exit(2))
if "install" in sys.argv:
    print("installing", flush=True)
    signal.pause()
"""

Finished = subprocess.CompletedProcess[str]


def make_project(folder: Path) -> Path:
    """Copy start.py beside empty requirements and the stand-ins, which `python -m` finds first."""
    shutil.copy(SCRIPT, folder)
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "requirements-dev.txt").write_text("-r requirements.txt\n")
    (folder / start.CONSTRAINTS).parent.mkdir()
    (folder / start.CONSTRAINTS).write_text("# nothing\n")
    (folder / "streamlit.py").write_text(PRINT_ARGUMENTS)
    (folder / "pytest.py").write_text(PRINT_ARGUMENTS)
    return folder


def make_wheel(folder: Path, version: str) -> None:
    """Write the smallest wheel of a package `lesson` that pip installs."""
    facts = {
        "METADATA": f"Metadata-Version: 2.1\nName: lesson\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(folder / f"lesson-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in facts.items():
            wheel.writestr(f"lesson-{version}.dist-info/{name}", text)


def run_python(project: Path, *arguments: str) -> Finished:
    """Run Python in the project; pip has no index and logs each run to pip.log."""
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_LOG": str(project / "pip.log")}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)


def run_start(project: Path, *arguments: str) -> Finished:
    return run_python(project, "start.py", *arguments)


def run_start_after(project: Path, preparation: str) -> Finished:
    return run_python(project, *start_after(preparation))


def start_after(preparation: str) -> tuple[str, str]:
    """Return Python arguments that run a preparation and then start.py."""
    run = "sys.argv = ['start.py']; runpy.run_path('start.py', run_name='__main__')"
    return "-c", f"import runpy, signal, sys; {preparation}; {run}"


def assert_one_sentence(finished: Finished, *words: str) -> None:
    """Assert exit code 1, the words in the last line, no traceback and no started program."""
    assert finished.returncode == 1, finished
    assert "Traceback" not in finished.stdout + finished.stderr
    assert "started:" not in finished.stdout
    last_line = finished.stderr.strip().splitlines()[-1]
    assert all(word in last_line for word in words), last_line


def pip_was_run(project: Path) -> bool:
    return (project / "pip.log").exists()


def stamps(project: Path) -> set[str]:
    return {path.name for path in (project / ".venv").glob("*.installed")}


@pytest.fixture(scope="module")
def first_start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    """Start for the first time, with a .venv without Python as an interrupted start leaves it."""
    project = make_project(tmp_path_factory.mktemp("first"))
    (project / ".venv").mkdir()
    (project / ".venv" / "left_over").touch()
    return project, run_start(project)


@pytest.fixture
def project(first_start: tuple[Path, Finished], tmp_path: Path) -> Path:
    """A project that was started before: a new folder with a copy of the .venv of `first_start`."""
    venv = first_start[0] / ".venv"
    shutil.copytree(venv, tmp_path / ".venv", symlinks=True, copy_function=os.link)
    return make_project(tmp_path)


@pytest.fixture
def new_project(tmp_path: Path) -> Path:
    """A project that was never started."""
    return make_project(tmp_path)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_first_start_replaces_a_broken_venv_installs_and_starts(
    first_start: tuple[Path, Finished],
) -> None:
    project, finished = first_start
    assert "started: run app.py" in finished.stdout, finished
    assert finished.returncode == 7, "the exit code is Streamlit's"
    assert not (project / ".venv" / "left_over").exists()
    assert pip_was_run(project)
    assert stamps(project) == {"requirements.txt.installed"}


def test_second_start_installs_nothing(project: Path) -> None:
    finished = run_start(project)
    assert "started: run app.py" in finished.stdout, finished
    assert not pip_was_run(project)


def test_changed_requirements_are_installed_into_the_same_venv(project: Path) -> None:
    (project / "requirements.txt").write_text("# something else\n")
    (project / ".venv" / "marker").touch()
    run_start(project)
    assert pip_was_run(project)
    assert (project / ".venv" / "marker").exists()


@pytest.mark.parametrize("arguments", [(), ("test",)])
def test_a_newer_release_within_the_range_is_not_installed(project: Path, arguments: tuple[str, ...]) -> None:
    make_wheel(project, "1.1")
    make_wheel(project, "1.2")
    (project / "requirements.txt").write_text("--find-links .\nlesson~=1.0\n")
    (project / start.CONSTRAINTS).write_text("lesson==1.1\n")
    run_start(project, *arguments)
    assert [path.name for path in (project / ".venv").rglob("lesson-*")] == ["lesson-1.1.dist-info"]


def test_changed_constraints_are_installed_into_the_same_venv(project: Path) -> None:
    (project / start.CONSTRAINTS).write_text("# something else\n")
    (project / ".venv" / "kept").touch()
    run_start(project)
    assert pip_was_run(project)
    assert (project / ".venv" / "kept").exists()


def test_constraints_of_another_python_change_nothing(project: Path) -> None:
    (project / "constraints" / "python-3.9.txt").write_text("lesson==1.1\n")
    run_start(project)
    assert not pip_was_run(project)


def test_another_python_in_the_venv_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "venv_version", lambda: "Python 3.11.7")
    before = start.fingerprint("requirements.txt")
    monkeypatch.setattr(start, "venv_version", lambda: "Python 3.12.1")
    assert start.fingerprint("requirements.txt") != before


def test_venv_without_pip_is_replaced(new_project: Path) -> None:
    """Python 3.11 installs pip last, so an interrupted start leaves a .venv without it."""
    run_python(new_project, "-m", "venv", "--without-pip", ".venv")
    finished = run_start_after(new_project, "sys.modules['ensurepip'] = None")
    assert_one_sentence(finished, "cannot make the folder .venv")


def test_address_is_printed_and_given_to_streamlit(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    printed, given = run_start(project, "--port", str(port), "--no-browser").stdout.split("started:")
    assert f"http://127.0.0.1:{port} " in printed
    assert f"--server.address=127.0.0.1 --server.port={port} " in given
    assert "--server.headless=true" in given


def test_another_address_is_given_to_streamlit(project: Path) -> None:
    given = run_start(project, "--address", "0.0.0.0").stdout.split("started:")[1]
    assert "--server.address=0.0.0.0 " in given


def test_streamlit_opens_the_browser_by_default(project: Path) -> None:
    assert "headless" not in run_start(project).stdout


def test_taken_port_is_one_sentence(project: Path, taken_port: int) -> None:
    assert_one_sentence(run_start(project, "--port", str(taken_port)), f"Port {taken_port} is taken")


def test_impossible_port_is_one_sentence(project: Path) -> None:
    assert_one_sentence(run_start(project, "--port", "99999"), "Port 99999")


def test_taken_default_port_is_skipped(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "FIRST_PORT", taken_port)
    monkeypatch.setattr(start, "LAST_PORT", taken_port + 100)
    assert taken_port < start.choose_port(None) < taken_port + 100


def test_arguments_and_exit_code_are_those_of_pytest(project: Path) -> None:
    finished = run_start(project, "test", "--no-browser", "-k", "two words")
    assert "started: --no-browser -k two words" in finished.stdout, finished
    assert finished.returncode == 7
    assert stamps(project) == {"requirements.txt.installed", "requirements-dev.txt.installed"}


def test_without_arguments_the_whole_suite_runs_on_two_cores(project: Path) -> None:
    assert "started: -n 2 --dist loadfile" in run_start(project, "test").stdout


def test_failing_pip_is_one_sentence_and_leaves_no_stamp(project: Path) -> None:
    (project / "requirements.txt").write_text("./no_such_package\n")
    finished = run_start(project)
    assert_one_sentence(finished, "could not be installed", "network", "disk")
    assert "no_such_package" in finished.stderr, "pip's own message is shown"
    assert stamps(project) == set()


def test_a_bundle_sets_up_another_folder_without_a_network(project: Path, tmp_path: Path) -> None:
    make_wheel(project, "1.1")
    requirements = "--find-links ./here\nlesson~=1.0\n"
    (project / "requirements.txt").write_text(requirements)
    (project / "here").mkdir()
    (project / "lesson-1.1-py3-none-any.whl").rename(project / "here" / "lesson-1.1-py3-none-any.whl")
    made = run_start(project, "bundle", "--out", "stick/packages")
    assert "python3 start.py --from packages" in made.stdout, made
    assert f"Python 3.{sys.version_info[1]} on" in made.stdout
    shutil.move(project / "here", project / "away")
    (wheel,) = (project / "stick" / "packages").glob("*.whl")
    wheel.rename(project / wheel.name)
    assert_one_sentence(run_start(project, "--from", "stick/packages"), "Copy it again")
    (project / wheel.name).rename(wheel)
    finished = run_start(project, "--from", "stick/packages")
    assert "started: run app.py" in finished.stdout, finished
    assert [path.name for path in (project / ".venv").rglob("lesson-*")] == ["lesson-1.1.dist-info"]


def test_a_bundle_that_cannot_be_collected_is_one_sentence(project: Path) -> None:
    (project / "requirements.txt").write_text("./no_such_package\n")
    assert_one_sentence(run_start(project, "bundle", "--out", "stick"), "could not be collected", "network")
    assert not (project / "stick" / start.BUNDLE_FILE).exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"versions": "0"}, "another version of Transfer Studio"),
        ({"computer": "Python 3.11 on Windows AMD64"}, "is for Python 3.11 on Windows AMD64, but this is"),
    ],
)
def test_a_bundle_for_others_is_refused_in_a_sentence(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    facts = {**start.bundle_facts(), **changes}
    (tmp_path / start.BUNDLE_FILE).write_text(json.dumps(facts))
    with pytest.raises(SystemExit, match=words):
        start.check_bundle(tmp_path)


@pytest.mark.parametrize("content", [None, "", "[1]", "{}"])
def test_a_bundle_that_is_not_whole_is_refused(project: Path, content: "str | None") -> None:
    (project / "requirements.txt").write_text("# something else\n")
    (project / "stick").mkdir()
    if content is not None:
        (project / "stick" / start.BUNDLE_FILE).write_text(content)
    assert_one_sentence(run_start(project, "--from", "stick"), "stick is no complete bundle")
    assert not pip_was_run(project)


def test_interrupted_install_is_quiet_and_leaves_no_stamp(project: Path) -> None:
    (project / "requirements.txt").write_text("# something else\n")
    (project / "pip.py").write_text(WAIT_WHEN_INSTALLING)
    # Shells ignore SIGINT in background jobs, and children inherit that: restore the handler.
    restore_sigint = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    with subprocess.Popen(
        [sys.executable, *start_after(restore_sigint)],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout and process.stderr
        assert "installing\n" in iter(process.stdout.readline, "")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stderr.read() == ""
    assert process.returncode == 130
    assert stamps(project) == set()


@pytest.mark.parametrize(
    ("version", "words"), [("(3, 9, 18)", "3.9 is too old"), ("(3, 14, 0)", "TensorFlow")]
)
def test_unsupported_python_is_one_sentence(new_project: Path, version: str, words: str) -> None:
    finished = run_start_after(new_project, f"sys.version_info = {version}")
    assert_one_sentence(finished, words, "3.10 to 3.13")
    assert not (new_project / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12), (3, 13)])
def test_supported_pythons_are_accepted(version: tuple[int, int]) -> None:
    with pytest.raises(SystemExit) as caught:
        start.check_python(version)
        sys.exit("accepted")
    assert caught.value.code == "accepted"


def test_old_pythons_can_read_the_script() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    arguments = [argument for function in functions for argument in function.args.args]
    annotations = [a.annotation for a in arguments] + [f.returns for f in functions]
    assert annotations
    assert all(isinstance(a, ast.Constant | ast.Name) for a in annotations), (
        "old Pythons would evaluate other annotations"
    )


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_missing_venv_says_what_to_install(new_project: Path, module: str) -> None:
    finished = run_start_after(new_project, f"sys.modules['{module}'] = None")
    assert_one_sentence(finished, "cannot make the folder .venv", "apt install python3.", "-venv")


def test_failing_venv_is_one_sentence(new_project: Path) -> None:
    (new_project / "venv.py").write_text("raise SystemExit('no space left')")
    finished = run_start(new_project)
    assert_one_sentence(finished, "could not be made")
    assert "no space left" in finished.stderr


@pytest.mark.parametrize("name", ["requirements.txt", start.CONSTRAINTS])
def test_incomplete_folder_is_one_sentence(project: Path, name: str) -> None:
    (project / name).unlink()
    assert_one_sentence(run_start(project), Path(name).name, "Is the folder complete")


def test_windows_waits_for_the_command_and_returns_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no real exec, so start.py waits and returns the exit code."""
    monkeypatch.setattr(os, "name", "nt")
    monkeypatch.setattr(os, "execv", lambda *command: pytest.fail("start.py was replaced"))
    assert start.become(sys.executable, "-c", "raise SystemExit(7)") == 7
