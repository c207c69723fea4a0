"""start.py for a class: where it listens, what it answers to, and what it hands to the server."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import start
from transfer_core.workspace import WORKSPACE_VARIABLE

IN_NETWORK = "192.168.7.5"
SETTINGS = ("TRANSFER_STUDIO_CLASS", "TRANSFER_STUDIO_EXECUTOR", "TRANSFER_STUDIO_ADDRESS")


@dataclass
class Server:
    """What would have been started."""

    command: tuple[str, ...] = ()
    card: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def setting(self, name: str) -> list[str]:
        """The values that a setting of Streamlit is given."""
        beginning = f"--{name}="
        return [part.removeprefix(beginning) for part in self.command if part.startswith(beginning)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A computer in one network; nothing is installed or started."""
    found = Server()

    def become(*command: str) -> int:
        found.command, found.environment = command, dict(os.environ)
        return 0

    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(start, "network_addresses", lambda: [IN_NETWORK])
    monkeypatch.setattr(start, "install", lambda *names, **places: None)
    monkeypatch.setattr(start, "is_free", lambda address, port: True)
    monkeypatch.setattr(start, "become", become)
    monkeypatch.setattr(subprocess, "Popen", found.card.extend)
    monkeypatch.setattr(socket, "gethostname", lambda: "Laptop.school.example")
    return found


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_class_is_served_in_the_network(server: Server) -> None:
    assert start.serve(["--class", "--port", "8600"]) == 0
    assert server.setting("server.address") == ["0.0.0.0"]
    assert server.environment["TRANSFER_STUDIO_CLASS"] == "1"
    assert server.environment["TRANSFER_STUDIO_EXECUTOR"] == "process"
    assert server.environment["TRANSFER_STUDIO_ADDRESS"] == f"http://{IN_NETWORK}:8600"


def test_exactly_its_own_addresses_and_names_are_answered(server: Server) -> None:
    start.serve(["--class"])
    assert server.setting("server.allowedHosts") == [
        *("127.0.0.1", "localhost", IN_NETWORK, "laptop.school.example", "laptop.local"),
    ]


def test_a_name_that_nobody_can_type_is_left_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Größe")
    start.serve(["--class"])
    assert server.setting("server.allowedHosts") == ["127.0.0.1", "localhost", IN_NETWORK]


def test_the_card_is_shown_and_opens_the_teachers_browser(server: Server) -> None:
    start.serve(["--class", "--port", "8600"])
    assert server.card[1:] == [
        *("-m", "transfer_core", "classroom", "card", f"http://{IN_NETWORK}:8600"),
        *("--here", "http://127.0.0.1:8600", "--open-browser"),
    ]
    assert server.setting("server.headless") == ["true"], "Streamlit would open another page"


def test_a_class_at_one_address_has_its_teacher_there(server: Server) -> None:
    start.serve(["--class", "--address", "fd00::7", "--port", "8600"])
    assert server.card[5:8] == ["http://[fd00::7]:8600", "--here", "http://[fd00::7]:8600"]
    assert server.setting("server.address") == ["fd00::7"]


def test_without_a_browser_only_the_card_is_shown(server: Server) -> None:
    start.serve(["--class", "--no-browser"])
    assert "--open-browser" not in server.card


def test_a_chosen_executor_counts_in_a_class_too(server: Server) -> None:
    os.environ["TRANSFER_STUDIO_EXECUTOR"] = "thread"
    start.serve(["--class"])
    assert server.environment["TRANSFER_STUDIO_EXECUTOR"] == "thread"


def test_without_class_one_person_is_served_as_before(server: Server) -> None:
    start.serve(["--port", "8600"])
    assert server.command[1:] == (
        *("-m", "streamlit", "run", "app.py", "--server.address=127.0.0.1", "--server.port=8600"),
        "--logger.hideWelcomeMessage=true",
    )
    assert server.card == []
    assert not set(SETTINGS) & set(server.environment)


@pytest.mark.parametrize("address", ["0.0.0.0", IN_NETWORK])
def test_an_address_answers_to_the_network_too(
    server: Server, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start.serve(["--address", address, "--port", "8600"])
    assert {"localhost", IN_NETWORK, "laptop.local"} <= set(server.setting("server.allowedHosts"))
    assert f"http://{IN_NETWORK}:8600" in capsys.readouterr().out
    assert server.environment["TRANSFER_STUDIO_ADDRESS"] == f"http://{IN_NETWORK}:8600"
    assert "TRANSFER_STUDIO_CLASS" not in server.environment


def test_the_browser_is_not_sent_to_an_address_that_is_none(server: Server) -> None:
    start.serve(["--address", "0.0.0.0"])
    assert server.setting("browser.serverAddress") == ["127.0.0.1"]


def test_without_a_network_a_sentence_says_so(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(start, "network_addresses", list)
    start.serve(["--class", "--port", "8600"])
    assert "This computer is in no network" in capsys.readouterr().out
    assert server.setting("server.address") == ["127.0.0.1"]
    assert server.environment["TRANSFER_STUDIO_CLASS"] == "1"
    assert "http://127.0.0.1:8600" in server.card


def test_https_uses_a_certificate_for_these_hosts(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    certified: list[str] = []

    def make_certificate(hosts: list[str]) -> tuple[str, str]:
        certified.extend(hosts)
        return "server.pem", "server-key.pem"

    monkeypatch.setattr(start, "make_certificate", make_certificate)
    start.serve(["--class", "--https", "--port", "8600"])
    assert server.setting("server.sslCertFile") == ["server.pem"]
    assert server.setting("server.sslKeyFile") == ["server-key.pem"]
    assert f"https://{IN_NETWORK}:8600" in server.card
    assert certified == server.setting("server.allowedHosts")


def test_the_certificate_is_made_by_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(start.ROOT)
    monkeypatch.setattr(start, "PYTHON", sys.executable)
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path))
    files = start.make_certificate([IN_NETWORK, "localhost"])
    assert all(Path(file).read_text().startswith("-----BEGIN") for file in files)
    (tmp_path / "file").touch()
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(SystemExit, match="no certificate"):
        start.make_certificate([IN_NETWORK])
    assert "Error: " in capfd.readouterr().err


def test_a_network_address_is_one_that_others_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "way_out", lambda: "10.0.0.7")
    monkeypatch.setattr(start, "addresses_of_name", lambda: ["127.0.1.1", "192.168.56.1", "10.0.0.7"])
    monkeypatch.setattr(start, "addresses_of_interfaces", lambda: ["127.0.0.1", "169.254.3.4", "10.42.0.1"])
    assert start.network_addresses() == ["10.0.0.7", "192.168.56.1", "10.42.0.1"]


def test_without_a_way_out_the_interfaces_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop that is itself the hotspot of the room has no way to the internet."""
    monkeypatch.setattr(start, "way_out", lambda: "0.0.0.0")
    monkeypatch.setattr(start, "addresses_of_name", list)
    monkeypatch.setattr(start, "addresses_of_interfaces", lambda: ["127.0.0.1", "10.42.0.1"])
    assert start.network_addresses() == ["10.42.0.1"]


@pytest.mark.skipif(os.name == "nt", reason="Windows names all addresses by the name of the computer")
def test_the_interfaces_of_this_computer_are_found() -> None:
    assert "127.0.0.1" in start.addresses_of_interfaces()


def test_a_port_of_this_computer_alone_is_taken_for_the_network_too(
    taken_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=f"Port {taken_port} is taken"):
        start.choose_port(taken_port, "0.0.0.0")
    asked: list[str] = []
    monkeypatch.setattr(start, "is_free", lambda address, port: not asked.append(address))
    start.choose_port(taken_port, IN_NETWORK)
    assert asked == ["127.0.0.1", IN_NETWORK], "some systems let two servers share a port"


def test_an_address_of_another_computer_is_one_sentence() -> None:
    with pytest.raises(SystemExit, match=r"does not have the address 203\.0\.113\.9"):
        start.serve(["--address", "203.0.113.9"])
