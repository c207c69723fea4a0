"""Other programs use a model through a real server: the same numbers, keys, limits, and the examples as shown."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from pages.ui.export.other_programs import example
from tests.conftest import TrainOnce
from tests.e2e.conftest import Server, running_server, settle
from transfer_core.classroom.facts import CLASS_VARIABLE, Classroom
from transfer_core.classroom.people import join
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.inference.predictor import Predictor
from transfer_core.runs.api_key import make_key, withdraw_key
from transfer_core.runs.training_run import TrainingRun


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    values: dict[str, Any]


@dataclass(frozen=True)
class Program:
    """A program that has the key of a model."""

    server: Server
    run: TrainingRun
    key: str

    @property
    def path(self) -> str:
        return f"/api/models/{self.run.id}/predict"

    def send(self, body: bytes, method: str = "POST", path: str = "", **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {self.key}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)) as connection:
            connection.request(method, path or self.path, body, given)
            with connection.getresponse() as response:
                content = response.read()
                is_json = response.headers["Content-Type"] == "application/json"
                return Answer(response.status, response.headers, json.loads(content) if is_json else {})


@pytest.fixture
def program(server: Server, image_folder: Path, train_once: TrainOnce) -> Program:
    dataset = add_files(create_dataset(server.workspace, "Colors"), folder_source(image_folder))
    run = train_once(server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=10))
    return Program(server, run, make_key(server.workspace, run.id))


@pytest.fixture
def photo(image_folder: Path) -> Path:
    return image_folder / "red" / "red-3.jpg"


def test_it_gives_the_numbers_of_the_app(program: Program, image_folder: Path) -> None:
    predictor = Predictor.load(program.run.folder)
    for path in sorted(image_folder.glob("*/*-3.jpg")):
        expected = predictor.predict(path.read_bytes())
        answer = program.send(path.read_bytes())
        assert (answer.status, answer.values) == (
            200,
            {
                "class_name": expected.class_name,
                "unknown": not expected.is_known,
                "best_guess": expected.best_guess,
                "probability": expected.probability,
                "probabilities": expected.probabilities,
            },
        )


def test_photo_as_a_file_of_a_form(program: Program, photo: Path) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n'
        b'--x\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n\r\n'
        + photo.read_bytes()
        + b"\r\n--x--\r\n"
    )
    answer = program.send(body, Content_Type="multipart/form-data; boundary=x")
    assert answer.values == program.send(photo.read_bytes()).values


def test_what_is_wrong_is_said_in_a_sentence(program: Program, photo: Path) -> None:
    good = photo.read_bytes()
    too_large = bytes(26 * 1024**2)
    form = {"Content_Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="p"; filename="p"\r\n\r\n'
    cases: list[tuple[int, Answer]] = [
        (400, program.send(b"")),
        (400, program.send(b"nothing", **form)),
        (405, program.send(b"", "GET")),
        (405, program.send(good, "PUT")),
        (413, program.send(too_large)),
        (413, program.send(part + too_large, **form)),
        (422, program.send(b"no photo")),
        (401, program.send(good, Authorization="Bearer wrong")),
        (401, program.send(good, Authorization="")),
        (401, program.send(good, Authorization=f"Basic {program.key}")),
        (401, program.send(good, path="/api/models/20200101-000000-0123456789abcdef/predict")),
        (401, program.send(good, path="/api/models/nonsense/predict")),
        (404, program.send(good, path="/api/other")),
    ]
    for status, answer in cases:
        assert answer.status == status, answer
        assert answer.values["error"].endswith("."), answer
        assert answer.headers["Content-Type"] == "application/json"


def test_withdrawn_and_renewed_keys(program: Program, photo: Path) -> None:
    workspace = program.server.workspace
    assert program.send(photo.read_bytes()).status == 200
    renewed = make_key(workspace, program.run.id)
    assert program.send(photo.read_bytes()).status == 401
    assert Program(program.server, program.run, renewed).send(photo.read_bytes()).status == 200
    withdraw_key(workspace, program.run.id)
    assert Program(program.server, program.run, renewed).send(photo.read_bytes()).status == 401


def test_pages_of_other_servers_may_call_it_without_cookies(program: Program, photo: Path) -> None:
    answer = program.send(photo.read_bytes(), Origin="https://elsewhere.example")
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Access-Control-Allow-Credentials" not in answer.headers
    asked = program.send(b"", "OPTIONS", Origin="https://elsewhere.example")
    assert asked.status == 204
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    assert program.send(photo.read_bytes(), Host="attacker.example").status == 400


def test_too_many_wrong_keys_and_too_many_photos_have_to_wait(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        run_id = "20200101-000000-0123456789abcdef"
        stranger = Program(server, TrainingRun(run_id, tmp_path, TrainingConfig(), "", 1, "", ()), "guess")
        statuses = [stranger.send(b"x").status for _try in range(25)]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        assert int(stranger.send(b"x").headers["Retry-After"]) >= 1


def test_pupils_model_answers_in_a_class_with_its_key_alone(
    tmp_path: Path,
    image_folder: Path,
    photo: Path,
    train_once: TrainOnce,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CLASS_VARIABLE, "1")
    with running_server(tmp_path, is_class=True) as server:
        pupil = server.workspace.person(join(server.workspace, "Fox").id)
        dataset = add_files(create_dataset(pupil, "Colors"), folder_source(image_folder))
        run = train_once(pupil, dataset, TrainingConfig(backbone="tiny_random", epochs=10))
        program = Program(server, run, make_key(pupil, run.id))
        answer = program.send(photo.read_bytes())
        assert answer.values.get("best_guess") == "red", answer
        without_owner = Program(server, run, program.key.partition(".")[2])
        assert without_owner.send(photo.read_bytes()).status == 401
        Classroom(server.workspace).change(is_open=False)
        assert program.send(photo.read_bytes()).status == 403


class OtherServer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<input type="file" id="photo"><p id="answer"></p>')

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet."""


class TestExamples:
    """The examples as the Export page shows them, run as a person would run them."""

    @pytest.fixture
    def folder(self, tmp_path: Path, photo: Path) -> Path:
        shutil.copyfile(photo, tmp_path / "photo.jpg")
        return tmp_path

    def text(self, program: Program, name: str) -> str:
        return example(name, program.server.url + program.path, program.key, program.run.class_names)

    def printed(self, command: list[str], folder: Path) -> str:
        finished = subprocess.run(
            command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=120, check=True
        )
        return finished.stdout

    def test_curl(self, program: Program, folder: Path) -> None:
        if not shutil.which("curl"):
            pytest.skip("needs curl")
        answer = json.loads(self.printed(["sh", "-c", self.text(program, "curl.txt") + " --silent"], folder))
        assert answer["best_guess"] == "red"

    def test_python(self, program: Program, folder: Path) -> None:
        printed = self.printed([sys.executable, "-c", self.text(program, "python.txt")], folder)
        assert printed.split()[0] == "red"

    def test_javascript_in_node(self, program: Program, folder: Path) -> None:
        if not shutil.which("node"):
            pytest.skip("needs node")
        script = self.text(program, "javascript.js") + (
            'classify(require("fs").readFileSync("photo.jpg")).then((answer) => console.log(answer.best_guess));'
        )
        assert self.printed(["node", "-e", script], folder).strip() == "red"

    @pytest.fixture
    def elsewhere(self, browser: Browser) -> Iterator[Page]:
        """A page of another server on this computer."""
        with ThreadingHTTPServer(("127.0.0.1", 0), OtherServer) as other:
            Thread(target=other.serve_forever).start()
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{other.server_port}")
            yield page
            page.close()
            other.shutdown()

    @pytest.mark.browser
    def test_javascript_on_a_page_of_another_server(
        self, program: Program, folder: Path, elsewhere: Page
    ) -> None:
        elsewhere.add_script_tag(content=self.text(program, "javascript.js"))
        elsewhere.locator("#photo").set_input_files(folder / "photo.jpg")
        expect(elsewhere.locator("#answer")).to_have_text("red", timeout=20_000)

    @pytest.mark.browser
    def test_blocks(self, program: Program, folder: Path, elsewhere: Page) -> None:
        """With a stand-in for TurboWarp that takes the extension and has a stage with the photo."""
        stage = "data:image/jpeg;base64," + b64encode((folder / "photo.jpg").read_bytes()).decode()
        said = elsewhere.evaluate(
            """async ([script, stage]) => {
                let blocks;
                const Scratch = {
                    extensions: { unsandboxed: true, register: (found) => { blocks = found; } },
                    BlockType: {}, ArgumentType: {},
                    vm: { renderer: { requestSnapshot: (send) => send(stage) } },
                };
                new Function("Scratch", script)(Scratch);
                await blocks.look();
                const names = blocks.getInfo().menus.classes.items;
                return [blocks.seen(), names, names.map((NAME) => blocks.sureness({ NAME }))];
            }""",
            [self.text(program, "turbowarp.js"), stage],
        )
        assert said[0] == "red"
        assert said[1] == list(program.run.class_names)
        assert sum(said[2]) == pytest.approx(100, abs=2)


@pytest.mark.browser
def test_the_key_is_shown_once(program: Program, photo: Path, person: Callable[..., Page]) -> None:
    withdraw_key(program.server.workspace, program.run.id)
    page = person(f"/Export?run={program.run.id}")
    card = page.locator(".st-key-other-programs")
    card.get_by_text("Let other programs use this model").click()
    expect(card.get_by_text("Copy the key now.")).to_be_visible()
    address, key = (card.locator("code").nth(place).inner_text() for place in (0, 1))
    assert address == program.server.url + program.path
    assert Program(program.server, program.run, key).send(photo.read_bytes()).status == 200
    page.reload()
    settle(page)
    expect(card.get_by_role("button", name="New key")).to_be_visible()
    assert key not in page.content()
    card.get_by_text("Let other programs use this model").click()
    expect(card.get_by_role("button", name="New key")).to_be_hidden()
    assert Program(program.server, program.run, key).send(photo.read_bytes()).status == 401
