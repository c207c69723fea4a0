"""Set up Transfer Studio beside this file and start it, or set it up and run its tests.

    python3 start.py [--port N] [--no-browser] [--address A] [--https]
    python3 start.py --class [--port N] [--no-browser] [--https]
    python3 start.py --cluster ADDRESS|local      trains on the computers of a cluster
    python3 start.py cluster start, join ADDRESS, list or stop
    python3 start.py bundle --out DIR      and, without a network:  python3 start.py --from DIR
    python3 start.py test [arguments for pytest ...]

Standard library only, in syntax that Python 3.6 reads: a Python that is too old must get as far as the
sentence that says so.
"""

import argparse
import hashlib
import importlib.util
import ipaddress
import json
import os
import platform
import re
import socket
import subprocess
import sys
from pathlib import Path

HOST, FIRST_PORT, LAST_PORT = "127.0.0.1", 8501, 8599
EVERYWHERE = ("0.0.0.0", "::")
ROOT, STARTED_IN = Path(__file__).resolve().parent, Path.cwd()
VENV = ROOT / ".venv"
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
CLUSTER_REQUIREMENTS = "requirements-cluster.txt"
CONSTRAINTS = "constraints/python-{}.{}.txt".format(*sys.version_info)
BUNDLE_FILE = "bundle.json"


def main(arguments: "list[str]") -> int:
    """Do what the command line asks and return the exit code."""
    check_python(sys.version_info[:2])
    os.chdir(str(ROOT))
    if arguments[:1] == ["test"]:
        install("requirements.txt", "requirements-dev.txt")
        # Two at a time: much of a browser test is waiting. Files stay whole, so that they share what they set up.
        return become(PYTHON, "-m", "pytest", *(arguments[1:] or ["-n", "2", "--dist", "loadfile"]))
    if arguments[:1] == ["bundle"]:
        return bundle(arguments[1:])
    if arguments[:1] == ["cluster"]:
        install("requirements.txt", CLUSTER_REQUIREMENTS)
        return become(PYTHON, "-m", "transfer_core", *with_full_path(arguments))
    return serve(arguments)


def serve(arguments: "list[str]") -> int:
    """Start the app, by default for this computer only; Streamlit opens the browser once it answers."""
    options = parse(arguments)
    networks = network_addresses()
    if options.is_class and not networks:
        print("This computer is in no network, so only its own browser reaches the class.", flush=True)
    listens_at = options.address or (EVERYWHERE[0] if options.is_class and networks else HOST)
    check_address(listens_at)
    port = choose_port(options.port, listens_at)
    extras = [CLUSTER_REQUIREMENTS] if options.cluster else []
    install("requirements.txt", *extras, bundle_dir=options.bundle_dir)
    hosts = served_hosts(listens_at, networks)
    settings = server_settings(listens_at, port, hosts)
    if options.https:
        certificate, key = make_certificate(hosts)
        settings += [f"--server.sslCertFile={certificate}", f"--server.sslKeyFile={key}"]
    form = "{}://{{}}:{}".format("https" if options.https else "http", port)
    addresses = [form.format(in_address(host)) for host in shown_hosts(listens_at, networks)]
    if listens_at != HOST:
        os.environ["TRANSFER_STUDIO_ADDRESS"] = addresses[0]
    if options.cluster:
        os.environ["TRANSFER_STUDIO_EXECUTOR"] = "ray"
        os.environ["TRANSFER_STUDIO_RAY_ADDRESS"] = options.cluster
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    if options.is_class:
        os.environ["TRANSFER_STUDIO_CLASS"] = "1"
        # A training that runs out of memory ends a worker process, not the lesson of all.
        os.environ.setdefault("TRANSFER_STUDIO_EXECUTOR", "process")
        here = form.format(HOST if listens_at in EVERYWHERE else in_address(listens_at))
        show_class_card(addresses, here, options.no_browser)
    else:
        print("Transfer Studio: {} (Ctrl-C ends it)".format(" or ".join(addresses)), flush=True)
    if options.no_browser or options.is_class:
        settings.append("--server.headless=true")
    return become(PYTHON, "-m", "streamlit", "run", "app.py", *settings)


def parse(arguments: "list[str]") -> "argparse.Namespace":
    """Return the options of a start."""
    parser = argparse.ArgumentParser(
        usage="start.py [--class] [--cluster A] [--https] [--port N] [--no-browser] [--address A] [--from DIR]\n"
        "       start.py cluster ...\n       start.py bundle --out DIR\n       start.py test [...]"
    )
    parser.add_argument(
        "--class",
        action="store_true",
        dest="is_class",
        help="everyone in this network gets a place of their own; you are the teacher",
    )
    parser.add_argument(
        "--cluster",
        metavar="A",
        help="train on the cluster at this address, such as 192.168.1.20:6379; local starts one here",
    )
    parser.add_argument(
        "--https", action="store_true", help="encrypt, so that the live camera works on other devices"
    )
    parser.add_argument("--port", type=int, metavar="N", help=f"default: the first free from {FIRST_PORT}")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    parser.add_argument(
        "--address",
        metavar="A",
        help="where it listens; 0.0.0.0 lets phones open exported web pages",
    )
    parser.add_argument(
        "--from",
        type=folder_name,
        dest="bundle_dir",
        metavar="DIR",
        help="set up without a network, from what 'start.py bundle' collected",
    )
    options = parser.parse_args(arguments)
    if options.cluster and options.bundle_dir:
        parser.error("a bundle has no Ray, which --cluster needs: leave --from out")
    return options


def with_full_path(arguments: "list[str]") -> "list[str]":
    """Return the arguments of a command of a cluster with a token file as it was named where start.py was started."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--token-file", type=folder_name)
    options, others = parser.parse_known_args(arguments)
    return [*others, "--token-file", str(options.token_file)] if options.token_file else others


def folder_name(name: str) -> Path:
    """Return a folder that was named where start.py was started."""
    return (STARTED_IN / name).resolve()


def check_python(version: "tuple[int, int]") -> None:
    """End with a sentence unless the packages exist for this version of Python."""
    if not (3, 10) <= version <= (3, 13):
        problem = "old" if version < (3, 10) else "new: TensorFlow does not support it yet"
        sys.exit(
            f"Python {version[0]}.{version[1]} is too {problem}. Transfer Studio runs on Python 3.10 to "
            "3.13: install one of these from python.org and run start.py with it."
        )


def check_address(address: str) -> None:
    """End with a sentence unless this computer can listen at this address."""
    if not is_free(address, 0):
        sys.exit(
            f"This computer does not have the address {address}: name another one, or leave --address out."
        )


def choose_port(wanted: "int | None", listens_at: str = HOST) -> int:
    """Return the wanted port, or the first free one when none is wanted."""

    def is_port_free(port: int) -> bool:
        # Some systems let one server listen everywhere and another at this computer's own address.
        return is_free(HOST, port) and is_free(listens_at, port)

    if not wanted:
        return next(filter(is_port_free, range(FIRST_PORT, LAST_PORT)), LAST_PORT)
    if not is_port_free(wanted):
        sys.exit(f"Port {wanted} is taken or not allowed: name another one, or leave --port out.")
    return wanted


def is_free(address: str, port: int) -> bool:
    """Say whether a server could listen there."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        socket.create_server((address, port), family=family).close()
    except (OSError, OverflowError):
        return False
    return True


def network_addresses() -> "list[str]":
    """Return the IPv4 addresses of this computer in its networks, the one of its way out first."""
    found = [way_out(), *addresses_of_name(), *addresses_of_interfaces()]
    return [address for address in dict.fromkeys(found) if is_network_address(address)]


def is_network_address(address: str) -> bool:
    """Say whether other computers may reach this one by an address."""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def way_out() -> str:
    """Return the address from which this computer would speak to others; 0.0.0.0 without any."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing: for a datagram the system only chooses the way. The address is reserved (RFC 5737).
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return EVERYWHERE[0]
        return str(probe.getsockname()[0])


def addresses_of_name() -> "list[str]":
    """Return the addresses of this computer's name: on Windows, all it has."""
    try:
        return [str(facts[4][0]) for facts in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    except OSError:
        return []


def addresses_of_interfaces() -> "list[str]":
    """Return an address of each network interface, also of a hotspot without a way out; on Windows, none."""
    try:
        import fcntl
    except ImportError:
        return []
    request = 0xC0206921 if sys.platform == "darwin" else 0x8915  # SIOCGIFADDR
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _index, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe.fileno(), request, name.encode().ljust(256, b"\0"))
            except OSError:
                continue
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def served_hosts(listens_at: str, networks: "list[str]") -> "list[str]":
    """Return the host names that the server answers to; any other is refused."""
    hosts = [HOST, "localhost"]
    if listens_at != HOST:
        name = socket.gethostname().lower()
        hosts += [*shown_hosts(listens_at, networks), name, name.split(".")[0] + ".local"]
    # Browsers write other letters in another way, and nobody types that.
    return [host for host in dict.fromkeys(hosts) if re.fullmatch("[a-z0-9._:-]+", host)]


def shown_hosts(listens_at: str, networks: "list[str]") -> "list[str]":
    """Return the addresses under which the server is reached, the best one first."""
    return (networks or [HOST]) if listens_at in EVERYWHERE else [listens_at]


def server_settings(listens_at: str, port: int, hosts: "list[str]") -> "list[str]":
    """Return the settings of Streamlit for where it listens and what it answers to."""
    settings = [f"--server.address={listens_at}", f"--server.port={port}", "--logger.hideWelcomeMessage=true"]
    if listens_at != HOST:
        # The one list of host names. .streamlit/config.toml has that of a server for this computer alone.
        settings += [f"--server.allowedHosts={host}" for host in hosts]
    if listens_at in EVERYWHERE:
        settings.append(f"--browser.serverAddress={HOST}")
    return settings


def in_address(host: str) -> str:
    """Return a host for an address, with an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def make_certificate(hosts: "list[str]") -> "tuple[str, str]":
    """Return the files of a certificate for these hosts and of its key, made once."""
    command = [PYTHON, "-m", "transfer_core", "classroom", "certificate", *hosts]
    finished = subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True)
    if finished.returncode != 0:
        sys.exit("There is no certificate for https; the line above says why.")
    certificate, key = finished.stdout.splitlines()
    return certificate, key


def show_class_card(addresses: "list[str]", here: str, no_browser: bool) -> None:
    """Let a child print address, code and QR code once the server answers, and open the teacher's browser."""
    command = [PYTHON, "-m", "transfer_core", "classroom", "card", *addresses, "--here", here]
    subprocess.Popen(command if no_browser else [*command, "--open-browser"])


def install(*names: str, bundle_dir: "Path | None" = None) -> None:
    """Install the tried versions of these requirements into .venv, unless their stamps say it was done."""
    if all(stamp(name).is_file() and stamp(name).read_text() == fingerprint(name) for name in names):
        return
    if bundle_dir:
        check_bundle(bundle_dir)
    prepare_venv()
    for name in names:
        stamp(name).unlink(missing_ok=True)
    print("Installing the packages: some minutes the first time ...", flush=True)
    places = ["--no-index", "--find-links", str(bundle_dir)] if bundle_dir else []
    if run_pip("install", *places, *(part for name in names for part in ("-r", name))) != 0:
        if bundle_dir:
            sys.exit(
                f"The packages in {bundle_dir} could not be installed; pip says why above. Copy it again, whole."
            )
        sys.exit(
            "The packages could not be installed; pip says why above. Usual reasons: no network, less than "
            "4 GB of free disk, or a computer TensorFlow does not support (32 bits, a Mac with Intel)."
        )
    for name in names:
        replace(stamp(name), fingerprint(name))


def run_pip(command: str, *arguments: str) -> int:
    """Run a command of pip with the tried versions and return its exit code."""
    pip = [PYTHON, "-m", "pip", command, "--disable-pip-version-check", "-c", CONSTRAINTS]
    return subprocess.call([*pip, *arguments])


def replace(path: Path, text: str) -> None:
    """Write a file beside its place and move it in, so that it is whole or missing."""
    beside = path.with_suffix(".part")
    beside.write_text(text)
    os.replace(str(beside), str(path))


def bundle(arguments: "list[str]") -> int:
    """Collect the packages in a folder, for computers of this kind without a network."""
    parser = argparse.ArgumentParser(prog="start.py bundle")
    parser.add_argument("--out", type=folder_name, required=True, metavar="DIR")
    folder = parser.parse_args(arguments).out
    prepare_venv()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BUNDLE_FILE).unlink(missing_ok=True)
    print("Collecting the packages: some minutes ...", flush=True)
    if run_pip("wheel", "--wheel-dir", str(folder), "-r", "requirements.txt") != 0:
        sys.exit(
            "The packages could not be collected; pip says why above. Is there a network, and 1 GB of free disk?"
        )
    replace(folder / BUNDLE_FILE, json.dumps(bundle_facts(), indent=1))
    print(
        f"Done, for {bundle_facts()['computer']}. Copy {folder} and this folder (without .venv) to a stick. There:"
    )
    print("python3 start.py --from {}".format(folder.name))
    return 0


def bundle_facts() -> "dict[str, str]":
    """Return the computers that a bundle made here is for, and the versions that it has."""
    computer = "Python {}.{} on {} {}".format(*sys.version_info[:2], platform.system(), platform.machine())
    lines = [
        line for name in ("requirements.txt", CONSTRAINTS) for line in (ROOT / name).read_text().splitlines()
    ]
    return {"computer": computer, "versions": hashlib.sha256("\n".join(lines).encode()).hexdigest()}


def check_bundle(folder: Path) -> None:
    """End with a sentence unless this folder has the packages for this computer."""
    try:
        found = json.loads((folder / BUNDLE_FILE).read_text())
        computer, versions = found["computer"], found["versions"]
    except (OSError, ValueError, LookupError, TypeError):
        sys.exit(f"{folder} is no complete bundle: make it again with 'start.py bundle --out DIR'.")
    here = bundle_facts()
    if computer != here["computer"]:
        sys.exit(
            f"{folder} is for {computer}, but this is {here['computer']}: make the bundle on such a computer."
        )
    if versions != here["versions"]:
        sys.exit(f"{folder} was made by another version of Transfer Studio: make it again with this one.")


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


def prepare_venv() -> None:
    """Make .venv, or make it again unless it is whole and has this version of Python."""
    if venv_version().startswith("Python {}.{}.".format(*sys.version_info)) and has_pip():
        return
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
