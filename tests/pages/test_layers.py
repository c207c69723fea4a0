"""Step 3: the layers."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenPage, StagedRuns, button, texts
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace


def drawn(page: AppTest) -> str:
    """The drawing of the network."""
    return next(found.proto.body for found in page.get("html") if "<ol" in found.proto.body)


def test_says_what_is_missing_and_links_to_it(open_page: OpenPage) -> None:
    page = open_page("3_Layers")
    assert "Still missing: Model, Images." in texts(page)
    links = [link.label for link in page.get("page_link") if link.label.startswith("Go to")]
    assert len(links) == 2
    assert not page.slider


def test_shows_every_block_and_what_learns(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id)
    drawing = drawn(page)
    assert drawing.count("network-frozen") == 9
    assert drawing.count("network-new") == 1
    assert "Only the new last layer learns" in texts(page)
    assert [metric.value for metric in page.metric] == ["3,843", "3.4 million", "0.1%"]
    assert "Recommended with 18 training photos: only the new layer learns." in page.info[0].value


def test_a_careful_version_offers_no_depth(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0_lite2", images=dataset.id)
    assert not page.exception
    assert not [*page.slider, *page.segmented_control]
    assert "Try several depths" not in [found.label for found in page.button]
    assert drawn(page).count("network-frozen") == 1


def test_what_is_preselected_is_what_the_hint_recommends(
    open_page: OpenPage, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transfer_core.training.advice._FEW_IMAGES", 18)
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id)
    assert page.slider[0].value == 0
    assert "only the new layer learns. Up to 3 blocks are worth a try." in page.info[0].value


def test_the_depth_changes_drawing_numbers_hint_and_address(
    open_page: OpenPage, dataset: ImageDataset
) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id)
    page.slider[0].set_value(2).run()
    drawing = drawn(page)
    assert (drawing.count("network-frozen"), drawing.count("network-learning")) == (7, 2)
    assert "The new layer and the last 2 blocks learn" in texts(page)
    # 409,600 and 600,192 kernels of the last two blocks, and 1,281 numbers for each of three classes.
    assert page.metric[0].value == "1.0 million"
    assert "memorize the photos" in page.warning[0].value
    assert page.query_params["unfrozen"] == "2"
    page.slider[0].set_value(9).run()
    assert "Everything learns" in texts(page)
    assert "network-frozen" not in drawn(page)


def test_the_depth_is_there_after_a_refresh(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id, unfrozen=4)
    assert page.slider[0].value == 4


def test_the_three_sources_of_weights_are_explained_in_the_terms_of_textbooks(
    open_page: OpenPage, dataset: ImageDataset
) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id)
    assert "Feature extraction: the whole pretrained network stays frozen" in texts(page)
    page.segmented_control[0].set_value("fine-tuned").run()
    assert "Fine-tuning: training starts from the pretrained weights" in texts(page)
    assert page.slider[0].value == 1
    page.segmented_control[0].set_value("from scratch").run()
    assert "Training from scratch: the weights start at random" in texts(page)
    assert not page.slider
    assert "network-frozen" not in drawn(page)
    assert page.query_params["scratch"] == "1"
    page.segmented_control[0].set_value("feature extraction").run()
    assert page.slider[0].value == 0
    assert "scratch" not in page.query_params


def test_the_slider_and_the_term_go_together(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id, unfrozen=0)
    page.slider[0].set_value(3).run()
    assert page.segmented_control[0].value == "fine-tuned"
    page.slider[0].set_value(0).run()
    assert page.segmented_control[0].value == "feature extraction"


def test_from_scratch_reaches_the_run(
    open_page: OpenPage, dataset: ImageDataset, staged_runs: StagedRuns, page_workspace: Workspace
) -> None:
    page = open_page("4_Train", model="efficientnet_lite0", images=dataset.id, unfrozen=9, scratch=1)
    assert "Everything learns, from scratch." in texts(page)
    button(page, "Start training").click().run()
    (run_id,) = page_workspace.run_ids()
    config = TrainingRun.load(page_workspace, run_id).config
    assert (config.weights, config.num_unfrozen_blocks) == ("random", 9)
