"""Step 3: the layers."""

from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenPage, texts
from transfer_core.data.dataset import ImageDataset


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
    assert "With 18 training images it is best to let only the new layer learn" in page.info[0].value


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
    assert "learn the photos by heart" in page.warning[0].value
    assert page.query_params["unfrozen"] == "2"
    page.slider[0].set_value(9).run()
    assert "Everything learns" in texts(page)
    assert "network-frozen" not in drawn(page)


def test_the_depth_is_there_after_a_refresh(open_page: OpenPage, dataset: ImageDataset) -> None:
    page = open_page("3_Layers", model="efficientnet_lite0", images=dataset.id, unfrozen=4)
    assert page.slider[0].value == 4
