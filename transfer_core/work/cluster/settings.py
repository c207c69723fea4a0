"""Which cluster trainings run on, and which computers may take part in it: without importing Ray."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import ipaddress
import os
import platform
import secrets
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import platformdirs

from transfer_core.errors import InvalidConfigError
from transfer_core.language import _

ADDRESS_VARIABLE = "TRANSFER_STUDIO_RAY_ADDRESS"
CPUS_VARIABLE = "TRANSFER_STUDIO_RAY_CPUS"
DASHBOARD_VARIABLE = "TRANSFER_STUDIO_RAY_DASHBOARD"
AUTH_MODE_VARIABLE = "RAY_AUTH_MODE"
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"
TOKEN_FILE_VARIABLE = "RAY_AUTH_TOKEN_PATH"
LOCAL = "local"
# Older ones do not know tokens, and would let everyone in without a word.
OLDEST_RAY = (2, 60)
# By the names under which they are installed. Another version of any of them may compute something else.
PACKAGES = {
    "ray": "Ray",
    "tensorflow": "TensorFlow",
    "keras": "Keras",
    "numpy": "NumPy",
    "pillow": "Pillow",
}
# By which oneDNN, Eigen and the Arm Compute Library select their code.
_INSTRUCTION_SETS = (
    *("sse4_1", "avx", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("asimd", "asimdhp", "asimddp", "sve", "sve2", "bf16", "i8mm"),
)
# Eigen and oneDNN cut matrices into blocks by the size of the cache, and so add in another order.
_PROCESSOR_DETAILS = {
    "cpu family": "family",
    "model": "model",
    "CPU implementer": "implementer",
    "CPU part": "part",
    "cache size": "cache",
}
_PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
_SECONDS_FOR_SYSCTL = 5
_MOST_CPUS = 1024
_OTHERS_MAY_READ = stat.S_IRWXG | stat.S_IRWXO


class ClusterSettings(msgspec.Struct, frozen=True):
    """The cluster that trainings run on.

    Args:
        address: `host:port` of its first computer, or `"local"`, which starts one on this computer.
        num_cpus_of_a_run: Cores of one training, which are also its threads.
        has_dashboard: Whether a local cluster serves Ray's dashboard.
    """

    address: str
    num_cpus_of_a_run: int = 1
    has_dashboard: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the cluster is started here and ends with the app."""
        return self.address == LOCAL

    @property
    def is_on_loopback(self) -> bool:
        """Whether no other computer can reach it."""
        return self.is_local or is_loopback(host_of(self.address))


def cluster_settings() -> ClusterSettings:
    """Return the settings of the environment.

    Raises:
        InvalidConfigError: If Ray is missing or too old, a setting is missing or out of its range, or the cluster is
            reached through a network without a token.
    """
    check_ray()
    settings = ClusterSettings(_address(), _num_cpus(), os.environ.get(DASHBOARD_VARIABLE) == "on")
    if not settings.is_local:
        _check_token(settings)
    return settings


def check_ray() -> None:
    """Raise unless Ray is installed.

    Raises:
        InvalidConfigError: If it is missing or too old.
    """
    if importlib.util.find_spec("ray") is None:
        raise InvalidConfigError(
            _("Ray is missing. Install it with: pip install -r requirements-cluster.txt")
        )
    version = importlib.metadata.version("ray")
    if tuple(map(int, version.split(".")[:2])) < OLDEST_RAY:
        raise InvalidConfigError(
            _("Ray {version} is too old. Update it with: pip install -r requirements-cluster.txt").format(
                version=version
            )
        )


def driver_environment(settings: ClusterSettings) -> dict[str, str]:
    """Return the environment of a process that connects to the cluster. A local one gets a new token each time."""
    environment = {
        **os.environ,
        **ray_environment(host_of(settings.address) or "127.0.0.1"),
        # Started by `uv run`, Ray would set up an environment of its own on each node.
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    # Ray would prefer it to the address that it is given.
    environment.pop("RAY_ADDRESS", None)
    if settings.is_local:
        environment.pop(TOKEN_FILE_VARIABLE, None)
        environment |= {AUTH_MODE_VARIABLE: "token", TOKEN_VARIABLE: secrets.token_hex(32)}
    elif _has_token_mode() and not _has_token_in_environment():
        environment[TOKEN_FILE_VARIABLE] = str(token_file().resolve())
    return environment


def ray_environment(host: str) -> dict[str, str]:
    """Return the variables that each process of a cluster needs before it imports Ray.

    Args:
        host: Of its first computer. Unless the first variable is 0, Ray replaces 127.0.0.1 by the address in the
            network; unless it is 1, a computer with Windows or macOS is in no cluster with others.
    """
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0" if host in ("localhost", "127.0.0.1", "::1") else "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        # 3.11.7 and 3.11.9 work together.
        "RAY_DEFAULT_PYTHON_VERSION_MATCH_LEVEL": "minor",
    }


def is_loopback(host: str) -> bool:
    """Whether a host is this computer, seen from itself alone. Any name but localhost may be another one."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def host_of(address: str) -> str:
    """Return the host of `host:port`; empty for anything else."""
    with suppress(ValueError):  # a port that is no number, or brackets without an IPv6 address
        parts = urlsplit(f"//{address}")
        if parts.hostname and parts.port and parts.netloc == address and "@" not in address:
            return parts.hostname
    return ""


def _address() -> str:
    address = os.environ.get(ADDRESS_VARIABLE, "")
    if address != LOCAL and not host_of(address):
        raise InvalidConfigError(
            _(
                "{variable} is “{address}”. Set it to the address of a cluster, such as 192.168.1.20:6379, or to local."
            ).format(variable=ADDRESS_VARIABLE, address=address)
        )
    return address


def _num_cpus() -> int:
    text = os.environ.get(CPUS_VARIABLE, "1").strip()
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:10]) <= _MOST_CPUS:
        raise InvalidConfigError(
            _("{variable} is “{text}”. Set it to a whole number from 1 to {most}, or leave it out.").format(
                variable=CPUS_VARIABLE, text=text, most=_MOST_CPUS
            )
        )
    return int(text)


def _check_token(settings: ClusterSettings) -> None:
    """Raise unless the cluster requires a token that only this account can read, or nobody else can reach it.

    Raises:
        InvalidConfigError: If it does not.
    """
    if not _has_token_mode() and not settings.is_on_loopback:
        raise InvalidConfigError(
            _(
                "{address} is on a network, where anyone could run code. Set {mode}=token, and {file} to a file with "
                "the token of the cluster."
            ).format(address=settings.address, mode=AUTH_MODE_VARIABLE, file=TOKEN_FILE_VARIABLE)
        )
    if _has_token_mode() and not _has_token_in_environment():
        check_token_file(token_file())


def _has_token_mode() -> bool:
    return os.environ.get(AUTH_MODE_VARIABLE, "").lower() == "token"


def _has_token_in_environment() -> bool:
    return bool(os.environ.get(TOKEN_VARIABLE, "").strip())


def own_token_file() -> Path:
    """Return the file of the token that `cluster start` makes and `cluster join` stores."""
    return platformdirs.user_config_path("transfer-studio", appauthor=False) / "cluster-token"


def token_file() -> Path:
    """Return the file with the token of the cluster: the named one, this app's own, or the one of Ray."""
    if named := os.environ.get(TOKEN_FILE_VARIABLE):
        return Path(named)
    return own_token_file() if own_token_file().exists() else Path.home() / ".ray" / "auth_token"


def check_token_file(file: Path) -> None:
    """Raise unless a file holds a token that no other account of this computer can read.

    Raises:
        InvalidConfigError: If it is missing, empty or open to others.
    """
    try:
        token, mode = file.read_text(encoding="utf-8").strip(), file.stat().st_mode
    except (OSError, ValueError):
        token, mode = "", 0
    if not token:
        raise InvalidConfigError(
            _("There is no token in {file}. Copy the file of the first computer, or set {variable}.").format(
                file=file, variable=TOKEN_FILE_VARIABLE
            )
        )
    # Windows has no such bits; there the folder of the account protects it.
    if os.name != "nt" and mode & _OTHERS_MAY_READ:
        raise InvalidConfigError(
            _("Other accounts of this computer can use the token. Forbid it with: chmod 600 {file}").format(
                file=file
            )
        )


class NodeFacts(msgspec.Struct, frozen=True):
    """What decides whether a computer computes as another one does.

    Args:
        name: Of the computer, for a person.
        python: Version of Python without its last number, such as `"3.11"`.
        packages: Version of each package in `PACKAGES`; empty where it is missing.
        code: SHA-256 of the modules of `transfer_core` that were loaded.
        processor: Model, and the instruction sets and cache size by which TensorFlow selects its code.
    """

    name: str
    python: str
    packages: dict[str, str]
    code: str
    processor: str


def node_facts() -> NodeFacts:
    """Return the facts of this computer and its Python. Takes some 20 ms; imports none of the packages."""
    return NodeFacts(
        name=platform.node(),
        python="{}.{}".format(*sys.version_info),
        packages={package: _version(package) for package in PACKAGES},
        code=_code_hash(),
        processor=processor_kind(),
    )


def node_problem(own: NodeFacts, theirs: NodeFacts) -> str:
    """Return why a computer cannot take runs of this one, as a sentence for a person; empty if it can.

    Args:
        own: Facts of the computer that has the app.
        theirs: Facts of the other one.
    """
    versions = [("Python", own.python, theirs.python)]
    versions += [(PACKAGES[name], own.packages[name], theirs.packages.get(name, "")) for name in PACKAGES]
    for name, own_version, their_version in versions:
        if not their_version:
            return _("{computer} has no {name}; this computer has {own}.").format(
                computer=theirs.name, name=name, own=own_version
            )
        if own_version != their_version:
            return _("{computer} has {name} {theirs}; this computer has {own}.").format(
                computer=theirs.name, name=name, theirs=their_version, own=own_version
            )
    if own.code != theirs.code:
        return _("{computer} loads another copy of Transfer Studio. Remove it there.").format(
            computer=theirs.name
        )
    return ""


def processor_kind() -> str:
    """Return the kind of the processor. Two of the same kind compute the same bits with the same number of threads."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return _processor_without_proc()
    # Of the first core; x86-64 and ARM have different names.
    facts: dict[str, str] = {}
    for name, _colon, value in (line.partition(":") for line in lines):
        facts.setdefault(name.strip(), value.strip())
    details = [f"{words} {facts[name]}" for name, words in _PROCESSOR_DETAILS.items() if name in facts]
    flags = {*facts.get("flags", "").split(), *facts.get("Features", "").split()}
    details += [name for name in _INSTRUCTION_SETS if name in flags]
    return "{} ({})".format(facts.get("model name", platform.machine()), ", ".join(details))


def _processor_without_proc() -> str:
    """Return the kind of the processor on macOS and Windows. Its model decides on the instruction sets there."""
    if platform.system() != "Darwin":
        return platform.processor()
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.check_output(command, text=True, timeout=_SECONDS_FOR_SYSCTL).strip()
    return platform.machine()


def _version(package: str) -> str:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return ""


def _code_hash() -> str:
    found = hashlib.sha256()
    for file in sorted(_PACKAGE_FOLDER.rglob("*.py"), key=Path.as_posix):
        found.update(
            file.relative_to(_PACKAGE_FOLDER).as_posix().encode() + b"\0" + file.read_bytes() + b"\0"
        )
    return found.hexdigest()
