"""Step 3: the layers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.ui.components.blocks import show_blocks
from tests.conftest import TrainOnce
from tests.pages.conftest import TINY, OpenPage, StagedRuns, button, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace

Choose = Callable[[AppTest, str, int], None]


def drawn(page: AppTest) -> dict[str, Any]:
    """What the blocks got to draw."""
    (found,) = [one.proto for one in page.get("bidi_component") if "blocks-" in one.proto.id]
    return json.loads(found.json)


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Choose:
    """`choose(page, "fine-tuned", 2)` is a choice that the browser sends."""

    def send(page: AppTest, mode: str, depth: int) -> None:
        (taken,) = sent
        taken(mode, depth)
        page.run()

    sent: list[Callable[[str, int], None]] = []

    def keep(data: dict[str, Any], key: str, choose: Callable[[str, int], None] | None = None) -> None:
        sent[:] = [choose] if choose else []
        show_blocks(data, key, choose)

    monkeypatch.setattr("pages.ui.layers.freezing.show_blocks", keep)
    return send


def test_says_what_is_missing_and_links_to_it(open_page: OpenPage) -> None:
    page = open_page("3_Layers")
    assert "Still missing: Model, Images." in texts(page)
    links = [link.label for link in page.get("page_link") if link.label.startswith("Go to")]
    assert len(links) == 2
    assert not page.get("bidi_component")


def test_shows_every_block_and_what_learns(open_page: OpenPage, dataset: ImageDataset) -> None:
    data = drawn(open_page("3_Layers", model="efficientnet_lite0", images=dataset.id))
    assert (data["mode"], data["depth"], len(data["blocks"])) == ("feature extraction", 0, 9)
    assert data["head"]["facts"] == "3 classes"
    assert data["photo"]["picture"].startswith("data:image/jpeg")
    assert data["depths"][0]["values"] == "3,843 of 3.4 million values learn."
    assert data["depths"][0]["state"] == "Only the new last layer learns."
    assert data["depths"][0]["advice"] == "With 18 training photos, keep all blocks frozen."


def test_a_careful_version_offers_no_depth(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0_lite2", images=dataset.id)
    assert not page.exception
    assert "looks at each photo several times, so all of it is frozen" in texts(page)
    assert "Try several depths" not in [found.label for found in page.button]
    data = drawn(page)
    assert data["is_locked"] and len(data["blocks"]) == 1


def test_each_depth_comes_with_its_effect(open_page: OpenPage, dataset: ImageDataset) -> None:
    data = drawn(open_page("3_Layers", model="efficientnet_lite0", images=dataset.id))
    # 409,600 and 600,192 kernels of the last two blocks, and 1,281 values for each of three classes.
    assert data["depths"][1]["values"] == "413,443 of 3.4 million values learn."
    assert data["depths"][2]["values"] == "1 million of 3.4 million values learn."
    assert "memorize" in data["depths"][2]["advice"] and not data["depths"][2]["fits"]
    assert data["depths"][9]["state"] == "Everything learns."
    assert all(re.fullmatch(r"Trains in about \d+ (s|min)\.", one["time"]) for one in data["depths"])
    assert data["depths"][0]["time"] != data["from_scratch"]["time"]


def test_the_choice_reaches_the_address_and_another_way_to_train_keeps_the_depth(
    open_page: OpenPage, dataset: ImageDataset, choose: Choose
) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id)
    choose(page, "fine-tuned", 4)
    assert page.query_params["unfrozen"] == "4"
    choose(page, "from scratch", 9)
    data = drawn(page)
    assert (data["mode"], data["fine_tune_depth"]) == ("from scratch", 4)
    assert page.query_params["scratch"] == "1"
    choose(page, "feature extraction", 0)
    data = drawn(page)
    assert (data["mode"], data["depth"], data["fine_tune_depth"]) == ("feature extraction", 0, 4)
    assert "scratch" not in page.query_params


def test_a_made_up_depth_is_ignored(open_page: OpenPage, dataset: ImageDataset, choose: Choose) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id)
    choose(page, "fine-tuned", 99)
    assert drawn(page)["depth"] == 0


def test_the_depth_is_there_after_a_refresh(open_page: OpenPage, dataset: ImageDataset) -> None:
    data = drawn(open_page("3_Layers", model="efficientnet_lite0", images=dataset.id, unfrozen=4))
    assert (data["mode"], data["depth"]) == ("fine-tuned", 4)


def test_from_scratch_reaches_the_run(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=9, scratch=1)
    assert "Everything learns, from scratch" in texts(page)
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    config = TrainingRun.load(page_workspace, run_id).config
    assert (config.weights, config.num_unfrozen_blocks) == ("random", 9)


def test_other_blocks_than_those_of_the_model_lead_to_a_new_training(
    open_page: OpenPage,
    page_workspace: Workspace,
    dataset: ImageDataset,
    train_once: TrainOnce,
    choose: Choose,
) -> None:
    run = train_once(page_workspace, dataset, TINY)
    page = open_page("3_Layers", run=run.id, images=dataset.id, model="tiny_random", unfrozen=0)
    session = page.session_state["session"]
    session.leave_run_of_other_choices()
    assert session.run_id == run.id
    choose(page, "fine-tuned", 1)
    button(page, "Next: train").click().run()
    assert session.run_id is None
    assert (session.picked_run_id, session.num_unfrozen_blocks) == (run.id, 1)
