"""start.py with a cluster: what the server and the commands of a cluster are given."""

import os
from pathlib import Path

import pytest

import start

VARIABLES = ("TRANSFER_STUDIO_EXECUTOR", "TRANSFER_STUDIO_RAY_ADDRESS", "RAY_AUTH_MODE")


class Started:
    """What would have been installed and started."""

    installed: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str | None, ...] = ()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """A computer in no network; nothing is installed or started."""
    found = Started()

    def install(*names: str, bundle_dir: Path | None = None) -> None:
        found.installed = names

    def become(*command: str) -> int:
        found.command, found.environment = command, tuple(map(os.environ.get, VARIABLES))
        return 0

    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(start, "network_addresses", list)
    monkeypatch.setattr(start, "show_class_card", lambda *_args: None)
    monkeypatch.setattr(start, "install", install)
    monkeypatch.setattr(start, "become", become)
    return found


@pytest.mark.parametrize("address", ["192.168.1.20:6379", "local"])
def test_a_cluster_is_what_the_app_trains_on(started: Started, address: str) -> None:
    assert start.main(["--cluster", address, "--no-browser"]) == 0
    assert started.installed == ("requirements.txt", "requirements-cluster.txt")
    assert started.environment == ("ray", address, "token")
    assert "streamlit" in started.command


def test_a_class_trains_on_a_cluster_too(started: Started) -> None:
    start.main(["--class", "--cluster", "local", "--no-browser", "--address", "127.0.0.1"])
    assert started.environment == ("ray", "local", "token")


def test_without_a_cluster_nothing_of_it_is_installed_or_set(started: Started) -> None:
    start.main(["--no-browser"])
    assert started.installed == ("requirements.txt",)
    assert started.environment == (None, None, None)


def test_commands_of_a_cluster_are_handed_on(started: Started) -> None:
    assert start.main(["cluster", "join", "10.0.0.1:6379", "--cores", "2"]) == 0
    assert started.installed == ("requirements.txt", "requirements-cluster.txt")
    assert started.command[1:] == ("-m", "transfer_core", "cluster", "join", "10.0.0.1:6379", "--cores", "2")


@pytest.mark.parametrize("words", [["--token-file", "token"], ["--token-file=token"]])
def test_a_token_file_is_named_from_the_folder_of_the_person(started: Started, words: list[str]) -> None:
    start.main(["cluster", "join", "10.0.0.1:6379", *words])
    assert started.command[-2:] == ("--token-file", str((start.STARTED_IN / "token").resolve()))


def test_a_bundle_has_no_ray(started: Started, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        start.main(["--cluster", "local", "--from", "bundle"])
    assert "a bundle has no Ray" in capsys.readouterr().err
    assert started.command == ()
