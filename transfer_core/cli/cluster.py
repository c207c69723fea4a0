"""The commands that let computers work together: Ray's own programs, with a token and without a dashboard."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import click
import msgspec
import psutil

from transfer_core.cli.chosen_language import Group
from transfer_core.cli.options import json_option
from transfer_core.cli.output import print_note, report
from transfer_core.errors import InvalidConfigError, NotFoundError, TransferStudioError, WorkspaceError
from transfer_core.files import remove, write_secret
from transfer_core.language import _, said, significant
from transfer_core.work.cluster.cluster_executor import ClusterExecutor
from transfer_core.work.cluster.nodes import Node
from transfer_core.work.cluster.settings import (
    ADDRESS_VARIABLE,
    AUTH_MODE_VARIABLE,
    TOKEN_FILE_VARIABLE,
    TOKEN_VARIABLE,
    check_ray,
    check_token_file,
    host_of,
    is_loopback,
    own_token_file,
    ray_environment,
)

# In the environment of all that these commands start, and by which `stop` finds it again.
MARK_VARIABLE = "TRANSFER_STUDIO_CLUSTER_OF"
_PORT = 6379
_LOOPBACK = "127.0.0.1"
# Ray tries for longer than two minutes to reach a computer that does not answer.
_SECONDS_FOR_RAY = 90
# The head of Ray does not end by itself; what it knows is in its memory alone.
_SECONDS_FOR_AN_END = 5
_SECONDS_BETWEEN_TRIES = 0.1
_LONGEST_REASON = 300
# Of Ray's messages.
_NO_ANSWER = "Timed out while waiting for GCS"
_MISMATCH = "Version mismatch"


_own_address_option = click.option(
    "--address", "own_address", help="Of this computer in the network; found by default."
)
_cores_option = click.option(
    "--cores", type=click.IntRange(0), help="That trainings may use here; all by default."
)


@click.group(cls=Group)
def cluster() -> None:
    """Let several computers train together."""


@cluster.command()
@_own_address_option
@click.option("--port", type=click.IntRange(1024, 65535), default=_PORT, show_default=True)
@_cores_option
def start(own_address: str | None, port: int, cores: int | None) -> None:
    """Start a cluster; run this on its first computer."""
    host = own_address or _address_in_network()
    _check_none_runs()
    file = own_token_file()
    if not file.exists():
        write_secret(file, secrets.token_hex(32).encode() + b"\n")
    check_token_file(file)
    head = ["--head", f"--port={port}", "--include-dashboard=false"]
    _start_ray(host, file, [*head, *_options_of_node(host, cores)])
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [
        _("The cluster is at {place}. Its token is in {file}").format(place=place, file=file),
        _("Whoever has the token can run programs on all computers of the cluster."),
        "",
        _("On each other computer, in its folder of Transfer Studio:"),
        f"    python3 start.py cluster join {place}",
        "",
        _("Start the app here:"),
        f"    python3 start.py --cluster {place}",
    ]
    if is_loopback(host):
        lines[3:6] = [_("Other computers cannot reach this address.")]
    report(False, {}, lines)


@cluster.command(short_help="Let this computer work for a cluster.")
@click.argument("address", metavar="ADDRESS")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with the cluster's token; by default it is read once and kept.",
)
@click.option("--new-token", is_flag=True, help="Read the token again, for another cluster.")
@_own_address_option
@_cores_option
def join(
    address: str, token_file: Path | None, new_token: bool, own_address: str | None, cores: int | None
) -> None:
    """Let this computer work for the cluster at ADDRESS, such as 192.168.1.20:6379."""
    host = host_of(address)
    if not host or host in ("localhost", _LOOPBACK, "::1"):
        raise InvalidConfigError(
            _("{address} is not the address of another computer. Use one such as 192.168.1.20:6379.").format(
                address=address
            )
        )
    _check_none_runs()
    file = token_file or own_token_file()
    is_new = not token_file and (new_token or not file.exists())
    if is_new:
        write_secret(file, _read_token().encode() + b"\n")
    check_token_file(file)
    try:
        _start_ray(host, file, [f"--address={address}", *_options_of_node(own_address, cores)])
    except TransferStudioError:
        if is_new:
            remove(file)
        raise
    report(False, {}, [_("This computer works for the cluster at {address}.").format(address=address)])


@cluster.command()
def stop() -> None:
    """End what `start` or `join` started on this computer."""
    if not _end_own_processes():
        raise NotFoundError(_("This computer is in no cluster that was started here."))
    report(False, {}, [_("This computer is in no cluster any more.")])


@cluster.command("list", short_help="Show the computers of a cluster.")
@click.argument("address", metavar="[ADDRESS]", required=False)
@json_option
def list_nodes(address: str | None, as_json: bool) -> None:
    """Show the computers of the cluster at ADDRESS, by default of that in TRANSFER_STUDIO_RAY_ADDRESS."""
    if address:
        os.environ[ADDRESS_VARIABLE] = address
        os.environ.setdefault(AUTH_MODE_VARIABLE, "token")
    elif not os.environ.get(ADDRESS_VARIABLE):
        raise InvalidConfigError(
            _("Name the cluster, such as: python3 start.py cluster list 192.168.1.20:6379")
        )
    nodes = sorted(_nodes_of_cluster(), key=lambda node: (node.name, node.address))
    facts = [{**msgspec.to_builtins(node), "problem": said(node.problem)} for node in nodes]
    report(as_json, {"nodes": facts}, [line for node in nodes for line in _lines(node)])


def _nodes_of_cluster() -> tuple[Node, ...]:
    """Return the nodes of the cluster.

    Raises:
        InvalidConfigError: If a setting is wrong.
        WorkspaceError: If the cluster does not answer.
    """
    executor = ClusterExecutor()
    executor.connect()
    give_up_at = time.monotonic() + _SECONDS_FOR_RAY
    try:
        while not executor.nodes and not executor.problem and time.monotonic() < give_up_at:
            time.sleep(_SECONDS_BETWEEN_TRIES)
        if not executor.nodes:
            raise WorkspaceError(executor.problem or _("The cluster has no computers yet."))
        return executor.nodes
    finally:
        executor.close()


def _lines(node: Node) -> list[str]:
    gpus = (
        [_("GPUs: {count} ({kind})").format(count=significant(node.num_gpus), kind=node.gpu)]
        if node.num_gpus
        else []
    )
    facts = [
        _("cores: {count}").format(count=significant(node.num_cpus)),
        _("memory: {size:.1f} GB").format(size=node.memory / 1e9),
        *gpus,
        node.processor,
    ]
    line = f"{node.name}  {node.address}  " + ", ".join(filter(None, facts))
    return (
        [line, _("    gets no trainings: {reason}").format(reason=said(node.problem))]
        if node.problem
        else [line]
    )


def _options_of_node(own_address: str | None, cores: int | None) -> list[str]:
    options = [f"--node-ip-address={own_address}"] if own_address else []
    return options if cores is None else [*options, f"--num-cpus={cores}"]


def _address_in_network() -> str:
    """Return the address from which this computer would speak to others, else any in a network, else 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        # Sends nothing: for a datagram the system only chooses the way. The address is reserved (RFC 5737).
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    # A network without a way out, such as a hotspot.
    found = [each.address for addresses in psutil.net_if_addrs().values() for each in addresses]
    return next(filter(_is_network_address, found), _LOOPBACK)


def _is_network_address(text: str) -> bool:
    with suppress(ValueError):  # of hardware
        address = ipaddress.IPv4Address(text)
        return not address.is_loopback and not address.is_link_local
    return False


def _read_token() -> str:
    """Return the token that is typed, which no terminal shows, or piped in.

    Raises:
        InvalidConfigError: If there is none.
    """
    if sys.stdin.isatty():
        token = click.prompt(_("Token of the cluster"), hide_input=True, err=True, type=str)
    else:
        token = sys.stdin.readline()
    if not token.strip():
        raise InvalidConfigError(_("There was no token. It is in a file on the first computer."))
    return str(token.strip())


def _start_ray(host: str, token_file: Path, options: list[str]) -> None:
    """Start Ray's programs, which go on in the background.

    Raises:
        InvalidConfigError: If Ray is missing.
        WorkspaceError: If they do not start.
    """
    check_ray()
    environment = {
        # A refused token is refused at each try, one a second.
        "RAY_NUM_REDIS_GET_RETRIES": "2",
        **os.environ,
        **ray_environment(host),
        AUTH_MODE_VARIABLE: "token",
        TOKEN_FILE_VARIABLE: str(token_file.resolve()),
        MARK_VARIABLE: _mark(),
    }
    for name in (TOKEN_VARIABLE, "RAY_ADDRESS"):
        environment.pop(name, None)
    # The logs of trainings come to the app with their events.
    options += ["--disable-usage-stats", "--include-log-monitor=false"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
    print_note(_("Starting Ray, which takes up to a minute ..."))
    try:
        finished = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_SECONDS_FOR_RAY, check=False
        )
        code, output = finished.returncode, finished.stdout + finished.stderr
    except subprocess.TimeoutExpired:
        code, output = 1, _NO_ANSWER
    if code:
        _end_own_processes()
        raise WorkspaceError(_reason(output, host))


def _reason(output: str, host: str) -> str:
    """Return why Ray did not start, as a sentence."""
    if "InvalidAuthToken" in output:
        return _(
            "The cluster refused the token. Join again with --new-token, and the token of {host}."
        ).format(host=host)
    if _NO_ANSWER in output:
        return _(
            "{host} did not answer. Is the cluster started there, and does a firewall let this computer in?"
        ).format(host=host)
    # Ray's exception stands last; where versions differ it has several lines.
    _before, mismatch, versions = output.rpartition(_MISMATCH)
    reason = mismatch + versions if mismatch else output.strip().rpartition("\n")[2]
    return _("Ray did not start: {reason}").format(reason=" ".join(reason.split())[:_LONGEST_REASON])


def _mark() -> str:
    return str(own_token_file())


def _check_none_runs() -> None:
    if _own_processes():
        raise InvalidConfigError(
            _("This computer is in a cluster already. Leave it with: python3 start.py cluster stop")
        )


def _own_processes() -> list[psutil.Process]:
    """Return the programs of Ray that these commands have started, and the trainings in them."""
    found = []
    for process in psutil.process_iter():
        # The processes of other accounts show their environment to nobody else.
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK_VARIABLE) == _mark() and process.pid != os.getpid():
                found.append(process)
    return found


def _end_own_processes() -> bool:
    """End them, and return whether there were any; kill those that do not end within five seconds."""
    processes = _own_processes()
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(processes, _SECONDS_FOR_AN_END)[1]:
        with suppress(psutil.Error):
            process.kill()
    return bool(processes)
