"""The commands by which `start.py` serves a class: they need packages that it must do without."""

from __future__ import annotations

import io
import os
import ssl
import sys
import time
import webbrowser
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import SplitResult, urlsplit

import click
import segno

from transfer_core.classroom.certificate import certificate_for
from transfer_core.classroom.facts import TEACHER_LINK_FILE, Classroom
from transfer_core.cli.chosen_language import Group
from transfer_core.cli.output import escaped
from transfer_core.errors import WorkspaceError
from transfer_core.files import write_secret
from transfer_core.language import _
from transfer_core.workspace import Workspace, default_workspace_root

_SECONDS_FOR_A_START = 120
_SECONDS_BETWEEN_TRIES = 0.2
_SECONDS_FOR_AN_ANSWER = 5
# Bright white on black: a QR code with its colours the other way round is read by few phones.
_WHITE_ON_BLACK, _AS_BEFORE = "\033[97;40m", "\033[0m"


@click.group(cls=Group, hidden=True)
def classroom() -> None:
    """Serve a class; `start.py --class` calls these."""


@classroom.command()
@click.argument("hosts", metavar="HOST...", nargs=-1, required=True)
def certificate(hosts: tuple[str, ...]) -> None:
    """Print the files of the certificate for these hosts and its key, made if needed."""
    made = certificate_for(Workspace(default_workspace_root()), hosts)
    click.echo(made.chain)
    click.echo(made.key)


@classroom.command()
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.option("--here", required=True, help="Address for browsers of this computer.")
@click.option("--open-browser", is_flag=True, help="Open the teacher's link on this computer.")
def card(addresses: tuple[str, ...], here: str, open_browser: bool) -> None:
    """Print address and code of the class once its server answers. Write the teacher's link."""
    workspace = Workspace(default_workspace_root())
    # At its start the server may forget the class of before, which changes code and link.
    _wait_for_server(here)
    facts = Classroom(workspace).facts()
    # Browsers let pages of their own computer use the camera without https too.
    link = here + facts.teacher_path
    file = workspace.root / TEACHER_LINK_FILE
    write_secret(file, "\n".join(dict.fromkeys([link, addresses[0] + facts.teacher_path, ""])).encode())
    _print_qr_code(addresses[0] + facts.join_path)
    lines = [
        _("Address     {address}").format(address=addresses[0]),
        _("Class code  {code}").format(code=facts.code),
        "",
        _("Your own link, for the teacher alone: {link}").format(link=link),
        _("It is also in {file}").format(file=file),
    ]
    if addresses[1:]:
        lines.insert(1, _("or          {addresses}").format(addresses=", ".join(addresses[1:])))
    lines += ["", _("Ctrl-C ends the class for today. Everything is kept.")]
    click.echo("\n".join(map(escaped, lines)))
    if open_browser:
        webbrowser.open(link)


def _wait_for_server(address: str) -> None:
    """Wait until a server answers at this address. It listens before it knows whether it can start.

    Raises:
        WorkspaceError: If the server, which started this process, ended before, or needs longer than two minutes.
    """
    parts, server = urlsplit(address), os.getppid()
    give_up_at = time.monotonic() + _SECONDS_FOR_A_START
    while time.monotonic() < give_up_at and os.getppid() == server:
        with suppress(OSError, HTTPException), closing(_connection(parts)) as connection:
            connection.request("GET", "/_stcore/health")
            connection.getresponse()
            return
        time.sleep(_SECONDS_BETWEEN_TRIES)
    raise WorkspaceError(_("The server did not start. Start it again."))


def _connection(parts: SplitResult) -> HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "https":
        # Nothing is said to the server and nothing believed: it is only seen to answer.
        context = ssl._create_unverified_context()
        return HTTPSConnection(host, parts.port, timeout=_SECONDS_FOR_AN_ANSWER, context=context)
    return HTTPConnection(host, parts.port, timeout=_SECONDS_FOR_AN_ANSWER)


def _print_qr_code(address: str) -> None:
    drawn = io.StringIO()
    segno.make(address, micro=False).terminal(drawn, compact=True, border=2)
    lines = drawn.getvalue().splitlines()
    try:
        drawn.getvalue().encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        # An old terminal has no half blocks. Phones can type the address.
        return
    is_terminal = sys.stdout.isatty()
    click.echo("")
    for line in lines:
        click.echo(
            f"  {_WHITE_ON_BLACK}{line}{_AS_BEFORE}" if is_terminal else f"  {line}", color=is_terminal
        )
    click.echo("")
