"""Set up Transfer Studio beside this file and start it, or set it up and run its tests.

    python3 start.py [--port N] [--no-browser] [--address A]
    python3 start.py test [arguments for pytest ...]

Standard library only, in syntax that Python 3.6 reads: a Python that is too old must get as far as the
sentence that says so.
"""

import argparse
import hashlib
import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

HOST, FIRST_PORT, LAST_PORT = "127.0.0.1", 8501, 8599
ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
CONSTRAINTS = "constraints/python-{}.{}.txt".format(*sys.version_info)


def main(arguments: "list[str]") -> int:
    """Do what the command line asks and return the exit code."""
    check_python(sys.version_info[:2])
    os.chdir(str(ROOT))
    if arguments[:1] == ["test"]:
        install("requirements.txt", "requirements-dev.txt")
        # Two at a time: much of a browser test is waiting. Files stay whole, so that they share what they set up.
        return become(PYTHON, "-m", "pytest", *(arguments[1:] or ["-n", "2", "--dist", "loadfile"]))
    return serve(arguments)


def serve(arguments: "list[str]") -> int:
    """Start the app, by default for this computer only; Streamlit opens the browser once it answers."""
    parser = argparse.ArgumentParser(
        usage="start.py [--port N] [--no-browser] [--address A]\n       start.py test [...]"
    )
    parser.add_argument("--port", type=int, metavar="N", help=f"default: the first free from {FIRST_PORT}")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    parser.add_argument(
        "--address",
        default=HOST,
        metavar="A",
        help="where it listens; 0.0.0.0 lets phones open exported web pages",
    )
    options = parser.parse_args(arguments)
    port = choose_port(options.port)
    install("requirements.txt")
    print(f"Transfer Studio: http://{HOST}:{port} (Ctrl-C ends it)", flush=True)
    settings = [
        f"--server.address={options.address}",
        f"--server.port={port}",
        "--logger.hideWelcomeMessage=true",
    ]
    headless = ["--server.headless=true"] if options.no_browser else []
    return become(PYTHON, "-m", "streamlit", "run", "app.py", *settings, *headless)


def check_python(version: "tuple[int, int]") -> None:
    """End with a sentence unless the packages exist for this version of Python."""
    if not (3, 10) <= version <= (3, 13):
        problem = "old" if version < (3, 10) else "new: TensorFlow does not support it yet"
        sys.exit(
            f"Python {version[0]}.{version[1]} is too {problem}. Transfer Studio runs on Python 3.10 to "
            "3.13: install one of these from python.org and run start.py with it."
        )


def choose_port(wanted: "int | None") -> int:
    """Return the wanted port, or the first free one when none is wanted."""
    if not wanted:
        return next(filter(is_free, range(FIRST_PORT, LAST_PORT)), LAST_PORT)
    if not is_free(wanted):
        sys.exit(f"Port {wanted} is taken or not allowed: name another one, or leave --port out.")
    return wanted


def is_free(port: int) -> bool:
    """Say whether a server could listen on this port."""
    try:
        socket.create_server((HOST, port)).close()
    except (OSError, OverflowError):
        return False
    return True


def install(*names: str) -> None:
    """Install the tried versions of these requirements into .venv, unless their stamps say it was done."""
    if all(stamp(name).is_file() and stamp(name).read_text() == fingerprint(name) for name in names):
        return
    if not venv_version().startswith("Python {}.{}.".format(*sys.version_info)) or not has_pip():
        make_venv()
    for name in names:
        stamp(name).unlink(missing_ok=True)
    print("Installing the packages: some minutes the first time ...", flush=True)
    pip = [PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "-c", CONSTRAINTS]
    if subprocess.call(pip + [part for name in names for part in ("-r", name)]) != 0:
        sys.exit(
            "The packages could not be installed; pip says why above. Usual reasons: no network, less than "
            "4 GB of free disk, or a computer TensorFlow does not support (32 bits, a Mac with Intel)."
        )
    for name in names:
        beside = stamp(name).with_suffix(".part")
        beside.write_text(fingerprint(name))
        os.replace(str(beside), str(stamp(name)))


def stamp(name: str) -> Path:
    """Return the file that is written once this requirements file is installed."""
    return VENV / (name + ".installed")


def fingerprint(name: str) -> str:
    """Return a hash of a requirements file, the constraints and the version of the Python in .venv."""
    files = (ROOT / name).read_bytes() + (ROOT / CONSTRAINTS).read_bytes()
    return hashlib.sha256(files + venv_version().encode()).hexdigest()


def venv_version() -> str:
    """Return for example "Python 3.11.7", or nothing when .venv has no Python that runs."""
    try:
        return subprocess.check_output([PYTHON, "-V"], universal_newlines=True).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def has_pip() -> bool:
    """Say whether .venv was made to the end: pip comes last."""
    command = [PYTHON, "-m", "pip", "--version"]
    return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def make_venv() -> None:
    """Make .venv, or make it again."""
    if not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
        sys.exit(
            "This Python cannot make the folder .venv. On Debian or Ubuntu, install what is missing with "
            f"'sudo apt install python3.{sys.version_info[1]}-venv'; elsewhere take Python from python.org."
        )
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(VENV)]) != 0:
        sys.exit("The folder .venv could not be made; the lines above say why.")


def become(*command: str) -> int:
    """Hand over to a command, so that Ctrl-C, a stop signal and the exit code are its own."""
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.call(command)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as problem:
        sys.exit(f"Setting up failed ({problem}). Is the folder complete, and may files be written in it?")
