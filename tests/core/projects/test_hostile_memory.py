"""No file of a stranger's takes much memory or time, whatever it unpacks to: each is opened in a process of its own."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.core.projects.conftest import listed, members_of, zipped
from tests.core.projects.test_hostile import Members, named

if not Path("/proc/self/status").is_file():
    pytest.skip("measures memory as Linux does", allow_module_level=True)

NOISE = np.random.default_rng(0).bytes(600_000)
ID = "20260101-000000-0123456789abcdef"
MOST_MEGABYTES = 300
# Far from the 10 seconds that a file may take, for machines under load; without limits it took minutes.
MOST_SECONDS = 120

OPEN = r"""
import json, re, sys
from pathlib import Path
from transfer_core.errors import ProjectError
from transfer_core.projects.open import open_project
from transfer_core.workspace import Workspace

def megabytes():
    # Not getrusage, whose peak begins with that of the process that started this one.
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024

folder, paths = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
before = megabytes()
for number, path in enumerate(paths):
    try:
        with path.open("rb") as content:
            open_project(Workspace(folder / str(number)), content)
        reason = ""
    except ProjectError as error:
        reason = str(error)
    print(json.dumps([path.stem, reason, megabytes() - before]))
"""


def packed(members: Members, ending: str, content: bytes) -> bytes:
    """The project with one file replaced, as small as a forger could make it."""
    # Else the whole would be refused for being packed too well. What follows a picture in its file is passed over.
    picture = named(members, ".jpg")
    padded = members[picture] + NOISE
    return zipped(listed({**members, picture: padded, named(members, ending): content})).getvalue()


def with_values(members: Members, ending: str, **values: object) -> bytes:
    facts = json.loads(members[named(members, ending)])
    return packed(members, ending, json.dumps(facts | values, ensure_ascii=False).encode())


def repeated(text: bytes, num_bytes: int = 20_000_000) -> bytes:
    return text * (num_bytes // len(text))


def manifest_of(members: Members, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("project.json", content)
        archive.writestr(f"datasets/{ID}/images/{'a' * 32}.jpg", NOISE, zipfile.ZIP_STORED)
    return buffer.getvalue()


def list_of_members(num_members: int) -> bytes:
    """A zip that holds nothing but a long list of members."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", *[0] * 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 65535, 65535, num_members * len(entry), 0, 0)
    return entry * num_members + end


def lying_bank(members: Members) -> bytes:
    """An array whose header promises two thousand million numbers."""
    header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (2000, 1000000), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("bank.npy", b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header)
    return packed(members, "rejection.npz", buffer.getvalue())


def many_arrays(members: Members) -> bytes:
    return packed(members, "rejection.npz", list_of_members(200_000))


def photo_of(width: int, height: int) -> Callable[[Members], bytes]:
    """A picture of a few hundred bytes whose header promises a thousand million pixels."""

    def project(members: Members) -> bytes:
        name = named(members, ".jpg")
        content = bytearray(members[name])
        place = next(place for kind in (b"\xff\xc0", b"\xff\xc2") if (place := content.find(kind)) >= 0)
        content[place + 5 : place + 9] = struct.pack(">HH", height, width)
        return zipped(listed({**members, name: bytes(content)})).getvalue()

    return project


HOSTILE: dict[str, Callable[[Members], bytes]] = {
    "lists as evaluation": lambda m: packed(
        m, "evaluation.json", b'{"x":[' + repeated(b"[],", 90_000_000) + b"[]]}"
    ),
    "lists that fit by size": lambda m: packed(
        m, "evaluation.json", b'{"x":[' + repeated(b"[],", 15_000_000) + b"[]]}"
    ),
    "objects as evaluation": lambda m: packed(
        m, "evaluation.json", b'{"x":[' + repeated(b'{"a":0},', 15_000_000) + b"[]]}"
    ),
    "objects as dataset": lambda m: packed(m, "dataset.json", b'{"images":[' + repeated(b"{},") + b"{}]}"),
    "objects as config": lambda m: packed(
        m, "config.json", b'{"x":[' + repeated(b"{},", 1_000_000) + b"{}]}"
    ),
    "objects as manifest": lambda m: manifest_of(m, b'{"files":[' + repeated(b"{},") + b"{}]}"),
    "empty events": lambda m: packed(m, "events.jsonl", repeated(b"{}\n", 1_000_000)),
    "short lines of events": lambda m: packed(m, "events.jsonl", repeated(b"\n", 1_000_000)),
    "one long line of events": lambda m: packed(m, "events.jsonl", repeated(b"[],", 5_000_000)),
    "events of many epochs": lambda m: packed(
        m,
        "events.jsonl",
        repeated(
            b'{"event":"EpochEnded","time":1,"epoch":1,"phase":"head","loss":1,"accuracy":1,"val_loss":1,'
            b'"val_accuracy":1}\n',
            5_000_000,
        ),
    ),
    "deep nesting": lambda m: packed(m, "split.json", b'{"train":' + b"[" * 900 + b"]" * 900 + b"}"),
    "deeper nesting": lambda m: packed(m, "split.json", b'{"train":' + repeated(b"[", 300_000)),
    "a long text of wide characters": lambda m: with_values(m, "dataset.json", name="😀" * 3_900_000),
    "a number of many digits": lambda m: packed(
        m, "calibration.json", b'{"temperature":' + b"9" * 900_000 + b"}"
    ),
    "a name twice": lambda m: packed(
        m, "calibration.json", b'{"temperature":1.0,"num_images":6,"temperature":2.0}'
    ),
    "half a surrogate pair": lambda m: packed(
        m, "dataset.json", m[named(m, "dataset.json")].replace(b'"Colours"', b'"\\ud800"')
    ),
    "a list of members": lambda m: list_of_members(1_000_000),
    "an array that lies": lying_bank,
    "many arrays": many_arrays,
    "a picture that lies": photo_of(32_000, 32_000),
    "a wide picture": photo_of(20_000, 20),
}


@pytest.fixture(scope="module")
def outcomes(project_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float]]:
    """Why each file was refused, and by how many megabytes the peak of memory had grown until then."""
    folder = tmp_path_factory.mktemp("hostile")
    members = members_of(project_path)
    for kind, make in HOSTILE.items():
        (folder / f"{kind}.zip").write_bytes(make(members))
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(folder), *sorted(map(str, folder.glob("*.zip")))],
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return {kind: (reason, megabytes) for kind, reason, megabytes in found}


@pytest.mark.parametrize("kind", HOSTILE)
def test_is_refused_with_a_sentence_and_little_memory(
    kind: str, outcomes: dict[str, tuple[str, float]]
) -> None:
    reason, megabytes = outcomes[kind]
    assert "project" in reason and "far too large" not in reason
    assert megabytes < MOST_MEGABYTES
