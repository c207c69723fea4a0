"""User-given names with markup or code are only text in every file of a bundle."""

from __future__ import annotations

import csv
import html.parser
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.core.conftest import FinishedRun
from tests.core.export.test_code import settings
from transfer_core.data.dataset import ImageDataset
from transfer_core.export.bundle import export_run
from transfer_core.export.code import SCRIPT, _notebook, _with_choices
from transfer_core.export.converters import labels_text
from transfer_core.export.model_card import model_card
from transfer_core.export.web_page import PAGE_FILE, write_web_page
from transfer_core.export.web_runtime import WebRuntime
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

HOSTILE = {
    "blue": "a|b `c` \\| ~~d~~ $e$ #",
    "green": "</script><script>alert(1)</script> <!-- {name} {{MODEL}} $& \u2028 \x1b[31m",
    "red": "1. \"q\" 'r'\n# %% [markdown]\n- [x](javascript:y) ![z](http://z) **w** __v__ &lt;",
    "Colours": "- # <img src=x onerror=alert(1)> | `f`\n\n--- \\",
}
NAMES = [HOSTILE[color] for color in ("blue", "green", "red")]


def renamed(value: Any) -> Any:
    """Return a JSON value with the names of the tiny run replaced by hostile ones."""
    if isinstance(value, dict):
        return {HOSTILE.get(key, key): renamed(part) for key, part in value.items()}
    if isinstance(value, list):
        return [renamed(part) for part in value]
    return HOSTILE.get(value, value) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def hostile_run(finished_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A copy of the tiny run in another workspace, with hostile names."""
    workspace = Workspace(tmp_path_factory.mktemp("hostile"))
    for folder in (finished_run.folder, finished_run.dataset.folder):
        copy = workspace.root / folder.relative_to(finished_run.workspace.root)
        shutil.copytree(folder, copy)
        for path in copy.glob("*.json"):
            path.write_text(json.dumps(renamed(json.loads(path.read_text()))))
    run = TrainingRun.load(workspace, finished_run.run.id)
    dataset = ImageDataset.load(workspace, finished_run.dataset.id)
    assert list(run.class_names) == list(dataset.class_names) == NAMES
    return FinishedRun(workspace, dataset, run, finished_run.events)


@pytest.fixture(scope="module")
def bundle_of(hostile_run: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    def make(format_name: str) -> Path:
        folder = tmp_path_factory.mktemp(format_name)
        bundle = export_run(hostile_run.workspace, hostile_run.run, format_name, folder)
        assert bundle.is_passed is not False
        shutil.unpack_archive(bundle.path, folder)
        return folder / bundle.name

    return make


def shown(name: str) -> str:
    """Return the visible text of a name: one line without control characters."""
    return " ".join(re.sub(r"\x1b", "", name).split())


def test_the_model_card_shows_names_as_text(hostile_run: FinishedRun) -> None:
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py")
    markdown = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    distilled = replace(hostile_run.run, config=hostile_run.run.config.with_changes(teacher=HOSTILE["red"]))
    tokens = markdown.parse(model_card(distilled, hostile_run.dataset, ()))
    kinds = {token.type for token in tokens}
    assert kinds.isdisjoint({"html_block", "hr", "fence", "code_block", "blockquote_open", "list_item_open"})
    inline = [token for token in tokens if token.type == "inline"]
    assert {child.type for token in inline for child in token.children} <= {
        "text",
        "softbreak",
        "text_special",
    }
    lines = ["".join(child.content for child in token.children) for token in inline]
    assert lines[0] == f"Model card: {shown(HOSTILE['Colours'])}"
    assert sum(token.type == "heading_open" for token in tokens) == 6
    cells = [token for before, token in pairwise(tokens) if before.type == "td_open"]
    assert len(cells) == 3 * 3 + 3 * 4
    texts = ["".join(child.content for child in cell.children) for cell in cells]
    assert texts[0:9:3] == texts[9::4] == list(map(shown, NAMES))
    assert any(f"classes: {', '.join(map(shown, NAMES))}. Made" in line for line in lines)
    assert any(line.startswith(f"{shown(HOSTILE['Colours'])} ← Tiny network") for line in lines)
    assert any(f"taught by the run {shown(HOSTILE['red'])}." in line for line in lines)


@pytest.mark.parametrize(
    "start", ["- a", "+ a", "1. a", "1) a", "2026-x", "# a", "=", "---", "> a", "    a", "```"]
)
def test_a_name_at_the_start_of_a_line_is_a_paragraph(start: str, hostile_run: FinishedRun) -> None:
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py")
    card = model_card(replace(hostile_run.run, dataset_name=start), None, ())
    last = markdown_it.MarkdownIt("commonmark").parse(card)[-3:]
    assert [token.type for token in last] == ["paragraph_open", "inline", "paragraph_close"]
    assert "".join(child.content for child in last[1].children).startswith(f"{shown(start)} ←")


def test_a_model_bundle_predicts_hostile_class_names(bundle_of: Callable[[str], Path]) -> None:
    """The export itself has already compared the names that the bundle's `predict.py` returns."""
    folder = bundle_of("keras")
    for file in folder.glob("*.json"):
        json.loads(file.read_text("utf-8"))
    assert json.loads((folder / "signature.json").read_text("utf-8"))["class_names"] == NAMES
    # An import would reject control characters in names, so the bundle is no source model.
    assert not (folder / "source.json").exists()
    assert (folder / "labels.txt").read_text("utf-8") == labels_text(NAMES)
    assert labels_text(NAMES).count("\n") == len(labels_text(NAMES).splitlines()) == 3

    class Elements(html.parser.HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []
            self.texts: list[str] = []

        def handle_starttag(self, tag: str, attributes: Any) -> None:
            self.found.append(tag)

        def handle_data(self, text: str) -> None:
            self.texts.append(text)

    pages = []
    for name, sentence in (("title", "origin"), (HOSTILE["green"], HOSTILE["Colours"])):
        write_web_page(folder, b"", name, sentence, WebRuntime(b"", b""))
        pages.append(Elements())
        pages[-1].feed((folder / PAGE_FILE).read_text("utf-8"))
        signature = json.loads((folder / "signature.json").read_text("utf-8"))
        (folder / "signature.json").write_text(json.dumps({**signature, "class_names": NAMES}))
    assert pages[0].found == pages[1].found
    assert pages[1].texts.count(HOSTILE["green"]) == 2
    (facts,) = (json.loads(text) for text in pages[1].texts if text.startswith('{"classNames"'))
    assert facts["classNames"] == NAMES
    assert facts["texts"]["en"]["origin"] == HOSTILE["Colours"]


def test_the_code_has_names_only_in_its_split(
    bundle_of: Callable[[str], Path], hostile_run: FinishedRun
) -> None:
    folder = bundle_of("code")
    script = (folder / "train.py").read_text("utf-8")
    assert settings(script)["IMAGE_SIZE"] == 32
    assert not any(name in script for name in HOSTILE.values())
    with (folder / "split.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    images = hostile_run.dataset.images
    expected = [[image.class_name, Path(image.name).name, image.split, image.id] for image in images]
    assert rows == expected


def test_layer_names_are_only_text_in_script_and_notebook() -> None:
    """An imported source model may have layers of any name."""
    layers = dict.fromkeys(HOSTILE.values(), 0.5)
    phases = [{"epochs": 1, "learning_rate": 0.1, "frozen_up_to": HOSTILE["red"], "layers": layers}]
    script = _with_choices(SCRIPT.read_text("utf-8"), {"PHASES": phases, "HEAD": HOSTILE["blue"]})
    before = settings(SCRIPT.read_text("utf-8"))
    assert settings(script) == {**before, "PHASES": phases, "HEAD": HOSTILE["blue"]}
    cells = _notebook(script)["cells"]
    assert len(cells) == len(_notebook(SCRIPT.read_text("utf-8"))["cells"])
    code = "\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")
    assert settings(code) == settings(script)
