"""The card of a class in the terminal, read as a teacher, a phone and other accounts of the computer would."""

from __future__ import annotations

import os
import socket
import stat
import threading
import webbrowser
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from transfer_core.classroom.facts import Classroom
from transfer_core.cli.classroom import TEACHER_LINK_FILE, classroom
from transfer_core.workspace import WORKSPACE_VARIABLE, Workspace

IN_NETWORK = "http://192.168.7.5:8501"


@pytest.fixture
def here(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that answers, for browsers of its own computer."""
    monkeypatch.setenv(WORKSPACE_VARIABLE, str(workspace.root))
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def show_card(here: str, *arguments: str, charset: str = "utf-8") -> str:
    command = ["card", IN_NETWORK, *arguments, "--here", here]
    finished = CliRunner(charset=charset).invoke(classroom, command, catch_exceptions=False)
    assert finished.exit_code == 0
    return finished.output


def scanned(card: str) -> str:
    """Return what a phone reads from the QR code that half blocks draw, white on black."""
    halves = {"█": (255, 255), "▀": (255, 0), "▄": (0, 255), " ": (0, 0)}
    lines = [line[2:] for line in card.splitlines() if line.strip() and set(line) <= set(halves)]
    cells = np.array([[halves[letter] for letter in line] for line in lines], np.uint8)
    pixels = cells.transpose(0, 2, 1).reshape(-1, cells.shape[1])
    # The last line of an odd number of modules has a half that is no part of the code.
    pixels = np.pad(pixels[: cells.shape[1]], 2, constant_values=255)
    text, _corners, _straight = cv2.QRCodeDetector().detectAndDecode(
        np.kron(pixels, np.ones((8, 8), np.uint8))
    )
    return str(text)


def test_it_says_where_the_class_is(workspace: Workspace, here: str) -> None:
    facts = Classroom(workspace).facts()
    card = show_card(here, "http://10.0.0.7:8501")
    assert f"Address     {IN_NETWORK}\n" in card
    assert "or          http://10.0.0.7:8501\n" in card
    assert f"Class code  {facts.code}\n" in card
    assert f"{here}/teacher/{facts.teacher_key}\n" in card
    assert str(workspace.root / TEACHER_LINK_FILE) in card


def test_a_phone_reads_address_and_code(workspace: Workspace, here: str) -> None:
    assert scanned(show_card(here)) == f"{IN_NETWORK}/join?code={Classroom(workspace).facts().code}"


def test_an_old_terminal_gets_the_words_alone(here: str) -> None:
    card = show_card(here, charset="cp1252")
    assert "Class code" in card and "?" not in card and "█" not in card


def test_the_teachers_links_are_in_a_file_for_this_account_alone(workspace: Workspace, here: str) -> None:
    show_card(here)
    show_card(here)
    file = workspace.root / TEACHER_LINK_FILE
    key = Classroom(workspace).facts().teacher_key
    assert file.read_text().split() == [f"{here}/teacher/{key}", f"{IN_NETWORK}/teacher/{key}"]
    assert os.name == "nt" or stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_class_that_begins_again_gets_other_links(workspace: Workspace, here: str) -> None:
    show_card(here)
    file = workspace.root / TEACHER_LINK_FILE
    before = file.read_text()
    show_card(here)
    assert file.read_text() == before, "a restart keeps the links"
    (workspace.root / "class.json").unlink()
    show_card(here)
    assert file.read_text() != before


@pytest.mark.parametrize("options", [(), ("--open-browser",)])
def test_the_browser_is_opened_as_the_teachers(
    workspace: Workspace, here: str, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    show_card(here, *options)
    assert opened == [f"{here}/teacher/{Classroom(workspace).facts().teacher_key}"] * len(options)


def test_a_server_that_ended_is_one_sentence(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([4, 4, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    finished = CliRunner().invoke(classroom, ["card", IN_NETWORK, "--here", f"http://127.0.0.1:{port}"])
    assert str(finished.exception) == "The server did not start. Start it again."


def test_a_server_that_listens_but_ends_before_it_answers_shows_no_card(
    here: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter([4, 4, 1])
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr("transfer_core.cli.classroom._SECONDS_FOR_AN_ANSWER", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        finished = CliRunner().invoke(classroom, ["card", IN_NETWORK, "--here", address])
    assert str(finished.exception) == "The server did not start. Start it again."
    assert not (workspace.root / TEACHER_LINK_FILE).exists()


def test_a_certificate_is_two_lines(workspace: Workspace, here: str) -> None:
    finished = CliRunner().invoke(classroom, ["certificate", "localhost", "192.168.7.5"])
    assert finished.output.splitlines() == [
        str(workspace.root / "certificates" / name) for name in ("server.pem", "server-key.pem")
    ]
