"""The people of the class: who they are, the photos that they have, and their tab."""

from __future__ import annotations

import http.client
import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from PIL import Image

from benchmarks.classroom.server import ClassServer
from benchmarks.classroom.tab import ANSWER_SECONDS, LostAnswer, Tab
from benchmarks.filled_workspace import fill
from transfer_core.classroom.facts import Classroom
from transfer_core.classroom.visitor import COOKIE, COOKIE_SECONDS, verify
from transfer_core.data.dataset import DATASET_FILE, ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace, new_id

NUM_PHOTOS = 20
# Small enough for thirty trainings in two minutes.
BACKBONE = "tiny_random"
PHOTO_SIZE = (1280, 960)
_PHOTO_QUALITY = 88
_FIRST_NAME = "Pupil"
_CONFIG_FILE = "config.json"


@dataclass
class Pupil:
    """One of the class, with the tab that they work in.

    Args:
        name: First name.
        workspace: Of their own.
        dataset: Photos that they have from the start, named after them.
        run: A model of these.
        tab: The page that they look at.
    """

    name: str
    workspace: Workspace
    dataset: ImageDataset
    run: TrainingRun
    tab: Tab

    @property
    def choices(self) -> str:
        """Parameters of the address with their photos and their model."""
        return f"model={BACKBONE}&images={self.dataset.id}&unfrozen=0&pick={self.run.id}"

    def sees_own_place(self) -> bool:
        """Whether the page names them, and nobody else."""
        screen = self.tab.screen
        texts = [element.markdown.body for element in screen.elements("markdown")]
        texts += [element.heading.body for element in screen.elements("heading")]
        named = [text for text in texts if _FIRST_NAME in text]
        return bool(named) and all(self.name in text for text in named)


def let_join(server: ClassServer, count: int) -> list[Pupil]:
    """Let people join the class, and give each twenty photos and a model."""
    with tempfile.TemporaryDirectory() as scratch:
        template = Workspace(Path(scratch) / "template")
        run = fill(template, 1, NUM_PHOTOS)
        return [
            _let_join(server, f"{_FIRST_NAME} {number:02d}", template, run) for number in range(1, count + 1)
        ]


def jpeg_photos(count: int, seed: int = 0, size: tuple[int, int] = PHOTO_SIZE) -> list[bytes]:
    """Return different photos; by default of about 300 KB each, as a telephone sends them after it has shrunk them.

    Args:
        count: How many.
        seed: Of what is on them.
        size: Width and height in pixels.
    """
    draw = np.random.default_rng(seed)
    found = []
    for _number in range(count):
        shapes = draw.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        picture = np.asarray(Image.fromarray(shapes).resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = draw.integers(-12, 13, picture.shape, dtype=np.int16)
        file = io.BytesIO()
        Image.fromarray((picture + grain).clip(0, 255).astype(np.uint8)).save(
            file, "JPEG", quality=_PHOTO_QUALITY
        )
        found.append(file.getvalue())
    return found


def _let_join(server: ClassServer, name: str, template: Workspace, run: TrainingRun) -> Pupil:
    cookie = _join(server, name)
    value = cookie.partition("=")[2]
    person_id = verify(Classroom(server.workspace).facts(), "cookie", value, COOKIE_SECONDS)
    workspace = server.workspace.person(person_id)
    # Everyone gets ids of their own, as in the app: they are unique on a server.
    dataset_id = new_id()
    shutil.copytree(
        template.dataset_dir(run.dataset_id), workspace.dataset_dir(dataset_id), dirs_exist_ok=True
    )
    _replace(workspace.dataset_dir(dataset_id) / DATASET_FILE, '"photos"', f'"Photos of {name}"')
    run_folder = workspace.run_dir(new_id())
    shutil.copytree(run.folder, run_folder, dirs_exist_ok=True)
    _replace(run_folder / _CONFIG_FILE, run.dataset_id, dataset_id)
    dataset = ImageDataset.load(workspace, dataset_id)
    return Pupil(
        name, workspace, dataset, TrainingRun.load(workspace, run_folder.name), Tab(server.url, cookie)
    )


def _join(server: ClassServer, name: str) -> str:
    """Fill in the form of the class and return the cookie that the browser gets.

    Raises:
        LostAnswer: If the server does not let the person in.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_SECONDS)
    try:
        form = urlencode({"code": Classroom(server.workspace).facts().code, "name": name})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.url}
        connection.request("POST", "/join", form, headers)
        answer = connection.getresponse()
    except OSError as error:
        raise LostAnswer(f"{name} could not join: {error}") from error
    finally:
        connection.close()
    for cookie in answer.headers.get_all("Set-Cookie", []):
        if cookie.startswith(f"{COOKIE}="):
            return cookie.partition(";")[0]
    raise LostAnswer(f"{name} could not join: the server answered {answer.status}.")


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
