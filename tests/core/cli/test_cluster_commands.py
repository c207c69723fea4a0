"""Two computers in a cluster, as the commands make it: two addresses of this one, which no other can reach."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from click.testing import CliRunner, Result

from transfer_core.cli import cluster as module
from transfer_core.cli.cluster import MARK_VARIABLE, cluster
from transfer_core.work.cluster.settings import (
    ADDRESS_VARIABLE,
    AUTH_MODE_VARIABLE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
)

ROOT = Path(__file__).resolve().parents[3]
FIRST, SECOND = "127.0.0.2", "127.0.0.3"
PATIENCE = 120
CONNECT = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); print(len(ray.nodes()))"


class Computer:
    """An account with settings of its own.

    Args:
        home: Its folder.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
        }

    @property
    def token_file(self) -> Path:
        return self.home / "config" / "transfer-studio" / "cluster-token"

    def run(self, *arguments: str, typed: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def cluster(self, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return self.run("-m", "transfer_core", "cluster", *arguments, typed=typed)

    def processes(self) -> list[int]:
        return [
            process.pid
            for process in psutil.process_iter(["environ"])
            if (process.info["environ"] or {}).get(MARK_VARIABLE) == str(self.token_file)
        ]


@pytest.fixture(scope="module")
def computers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Computer, Computer, str]]:
    """Two computers, the first of which has started a cluster at the address."""
    pytest.importorskip("ray", reason="needs Ray: pip install -r requirements-cluster.txt")
    if sys.platform != "linux":
        pytest.skip("other systems have one loopback address")
    first, second = (Computer(tmp_path_factory.mktemp(name)) for name in ("first", "second"))
    with socket.create_server((FIRST, 0)) as free:
        port = free.getsockname()[1]
    try:
        started = first.cluster("start", "--address", FIRST, "--port", str(port), "--cores", "1")
        assert started.returncode == 0, started
        assert f"start.py --cluster {FIRST}:{port}\n" in started.stdout
        yield first, second, f"{FIRST}:{port}"
    finally:
        for computer in (second, first):
            computer.cluster("stop")
        assert first.processes() == second.processes() == []


def test_the_token_belongs_to_one_account(computers: tuple[Computer, Computer, str]) -> None:
    file = computers[0].token_file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) == 64
    again = computers[0].cluster("start")
    assert again.returncode == 1
    assert "in a cluster already" in again.stderr


def test_who_has_no_token_or_another_one_is_refused(computers: tuple[Computer, Computer, str]) -> None:
    _first, second, address = computers
    without = second.run("-c", CONNECT, address, RAY_NUM_REDIS_GET_RETRIES="1")
    assert without.returncode == 1
    assert "InvalidAuthToken" in without.stderr or "Failed to connect" in without.stderr
    joined = second.cluster("join", address, "--address", SECOND, typed="another-token\n")
    assert joined.returncode == 1
    assert "The cluster refused the token." in joined.stderr.splitlines()[-1]
    assert not second.token_file.exists()
    assert second.processes() == []


def test_a_computer_joins_is_listed_and_leaves(computers: tuple[Computer, Computer, str]) -> None:
    first, second, address = computers
    token = first.token_file.read_text()
    joined = second.cluster("join", address, "--address", SECOND, "--cores", "1", typed=token)
    assert joined.returncode == 0, joined
    assert second.token_file.read_text() == token
    listed = first.cluster("list", address, "--json")
    nodes = json.loads(listed.stdout)["nodes"]
    assert [(node["address"], node["num_cpus"], node["problem"]) for node in nodes] == [
        (FIRST, 1.0, ""),
        (SECOND, 1.0, ""),
    ]
    assert second.cluster("stop").returncode == 0
    assert second.processes() == []
    assert first.processes(), "the cluster of the first computer goes on"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The token file of an account without one, on a computer in no cluster, with a Ray."""
    file = tmp_path / "cluster-token"
    monkeypatch.setattr(module, "own_token_file", lambda: file)
    monkeypatch.setattr(module, "check_ray", lambda: None)
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    return file


def invoke(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(cluster, list(arguments), input=typed)


@pytest.mark.parametrize("address", ["127.0.0.1:6379", "localhost:6379", "[::1]:6379", "lab-01", "x:y"])
def test_no_other_computer_is_refused(own: Path, address: str) -> None:
    assert "is not the address of another computer" in str(invoke("join", address, typed="abc").exception)
    assert not own.exists()


def test_a_list_without_any_cluster_says_how_to_name_one(own: Path) -> None:
    assert "python3 start.py cluster list 192.168.1.20:6379" in str(invoke("list").exception)


def test_an_empty_token_is_refused(own: Path) -> None:
    assert "There was no token" in str(invoke("join", "10.0.0.1:6379", typed="\n").exception)
    assert not own.exists()


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["02:42:ac:11:00:02", "127.0.0.1", "::1", "169.254.3.4", "192.168.4.1"], "192.168.4.1"),
        (["127.0.0.1", "fe80::1%eth0"], "127.0.0.1"),
    ],
)
def test_a_network_without_a_way_out_is_found(
    own: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str], found: str
) -> None:
    def refuse(*_args: object) -> None:
        raise OSError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    interfaces = {"any": [SimpleNamespace(address=address) for address in addresses]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: interfaces)
    monkeypatch.setattr(
        subprocess, "run", lambda *_args, **_named: subprocess.CompletedProcess([], 0, "", "")
    )
    output = invoke("start").output
    assert f"The cluster is at {found}:6379." in output
    assert ("Other computers cannot reach this address." in output) == (found == "127.0.0.1")


def test_nothing_to_stop_is_said(own: Path) -> None:
    assert "in no cluster" in str(invoke("stop").exception)


MISMATCH = """\
Traceback (most recent call last):
RuntimeError: Version mismatch: The cluster was started with:
    Ray: 2.60.0
    Python: 3.11.7
This process on Node with address 10.0.0.2 was started with:
    Ray: 2.60.0
    Python: 3.10.13
"""
NO_ANSWER = "ray.exceptions.RpcError: Timed out while waiting for GCS to become available.\n"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (MISMATCH, ("Python: 3.11.7", "Python: 3.10.13")),
        (NO_ANSWER, ("10.0.0.1 did not answer",)),
        ("a\nOSError: No space left\n", ("Ray did not start: OSError: No space left",)),
    ],
)
def test_why_ray_does_not_start_is_one_line(
    own: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: tuple[str, ...]
) -> None:
    finished = subprocess.CompletedProcess[str]([], 1, "", output)
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_named: finished)
    message = str(invoke("join", "10.0.0.1:6379", typed="abc").exception)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert not own.exists()


def test_ray_gets_the_token_by_file_alone(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, object] = {}

    def run(command: list[str], **named: object) -> subprocess.CompletedProcess[str]:
        started.update(named, command=command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setenv(TOKEN_VARIABLE, "another")
    monkeypatch.setattr(subprocess, "run", run)
    result = invoke("join", "10.0.0.1:6379", typed="secret\n")
    assert result.exit_code == 0, result
    assert "secret" not in result.output
    environment = started["env"]
    assert isinstance(environment, dict)
    assert environment[AUTH_MODE_VARIABLE] == "token"
    assert environment[TOKEN_FILE_VARIABLE] == str(own)
    assert TOKEN_VARIABLE not in environment
    assert own.read_text() == "secret\n"
    assert "secret" not in str(started["command"])
