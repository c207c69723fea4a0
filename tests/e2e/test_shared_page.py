"""The exported web page under an address of the server: what it answers, with which headers, and that it runs."""

from __future__ import annotations

import gzip
import http.client
import shutil
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import TrainOnce
from tests.e2e.conftest import Server, click_button
from transfer_core.config import TrainingConfig
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.export.bundle import bundle_path
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import new_id

PAGE = "<h1>It sees colours</h1>" * 100
SENTENCE = "There is no such page here."


@pytest.fixture
def run_id(server: Server) -> str:
    """Id of a run whose exported web page is a stand-in."""
    run_id = new_id()
    path = bundle_path(server.workspace.run_dir(run_id), "web")
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("colors-web-page/index.html", PAGE)
        archive.writestr("colors-web-page/labels.txt", "not for everyone")
    return run_id


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Message
    body: bytes


def get(server: Server, path: str, method: str = "GET", **headers: str) -> Answer:
    """Send a path as it stands: most clients would tidy it."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request(method, path, headers=headers)
        with connection.getresponse() as response:
            return Answer(response.status, response.headers, response.read())


def test_the_page_is_served_to_anyone_with_strict_headers(server: Server, run_id: str) -> None:
    for path in (f"/try/{run_id}", f"/try/{run_id}?from=phone"):
        answer = get(server, path)
        assert (answer.status, answer.body.decode()) == (200, PAGE)
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "Set-Cookie" not in answer.headers
    packed = get(server, f"/try/{run_id}", **{"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body).decode() == PAGE
    assert get(server, f"/try/{run_id}", "HEAD").status == 200


def test_a_new_export_replaces_the_page(server: Server, run_id: str) -> None:
    assert get(server, f"/try/{run_id}").body.decode() == PAGE
    with zipfile.ZipFile(bundle_path(server.workspace.run_dir(run_id), "web"), "w") as archive:
        archive.writestr("colors-web-page/index.html", "another")
    assert get(server, f"/try/{run_id}").body == b"another"
    shutil.rmtree(server.workspace.run_dir(run_id))
    assert get(server, f"/try/{run_id}").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/try/",
        "/try/nonsense",
        "/try/20261122-140512-0123456789abcdef",
        "/try/{run_id}/labels.txt",
        "/try/{run_id}/",
        "/try/..%2f{run_id}",
        "/try/<script>alert(1)</script>",
        "/try/%3Cscript%3E",
        "/try/%00",
    ],
)
def test_anything_else_is_a_plain_sentence(server: Server, run_id: str, path: str) -> None:
    answer = get(server, path.format(run_id=run_id).replace("<", "%3c").replace(">", "%3e"))
    # Streamlit itself refuses some paths with the status 400.
    if answer.status != 400:
        assert answer.status == 404
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.body.decode().startswith(SENTENCE)
    assert b"not for everyone" not in answer.body and b"script" not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/try/../../../../etc/passwd",
        "/try/..%2f..%2f..%2fetc%2fpasswd",
        "/try/%2e%2e/%2e%2e/etc/passwd",
        "/try//etc/passwd",
        "/try/{run_id}/../../config.json",
        "/try/..%5c..%5cetc",
    ],
)
def test_no_path_leads_out_of_the_exports(server: Server, run_id: str, path: str) -> None:
    answer = get(server, path.format(run_id=run_id))
    assert answer.status in (400, 404)
    assert b"root:" not in answer.body


def test_nothing_can_be_written(server: Server, run_id: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert get(server, f"/try/{run_id}", method).status == 405
    assert get(server, f"/try/{run_id}").status == 200


@pytest.mark.browser
def test_a_created_page_opens_here_and_answers(
    server: Server,
    person: Callable[..., Page],
    image_folder: Path,
    web_runtimes: Path,
    train_once: TrainOnce,
    tmp_path: Path,
) -> None:
    shutil.copytree(web_runtimes, server.workspace.runtimes_dir, dirs_exist_ok=True)
    dataset = add_files(create_dataset(server.workspace, "Colors & more"), folder_source(image_folder))
    run: TrainingRun = train_once(
        server.workspace, dataset, TrainingConfig(backbone="tiny_random", epochs=10)
    )
    page = person(f"/Export?run={run.id}")
    click_button(page, "Create the web page")
    card = page.locator(".st-key-export-web")
    expect(card.get_by_text("Answers like your model on")).to_be_visible()
    with page.expect_download() as download:
        card.get_by_role("button", name="Download the page").click()
    assert download.value.suggested_filename == "colors-more-web-page.html"
    download.value.save_as(tmp_path / "page.html")
    expect(card.get_by_text("Phones cannot reach this server yet.")).to_be_visible()

    with page.context.expect_page() as opened:
        card.get_by_role("link", name="Open it here").click()
    shared = opened.value
    assert shared.url == f"{server.url}/try/{run.id}"
    expect(shared.get_by_role("heading", name="Colors & more", exact=True)).to_be_visible()
    expect(shared.get_by_text("Choose photos")).to_be_visible()
    shared.locator("#files").set_input_files(image_folder / "red" / "red-3.jpg")
    expect(shared.locator(".card .label").first).to_have_text("red")
    assert shared.content().startswith("<!DOCTYPE html>")
    assert "Colors &amp; more" in (tmp_path / "page.html").read_text("utf-8")
    shared.close()
