"""Step 1: the model."""

from tests.pages.conftest import OpenPage, texts
from transfer_core.backbones.registry import list_backbones


def test_shows_a_card_for_each_bundled_model(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    shown = [found.value for found in page.subheader]
    assert shown == [backbone.title for backbone in list_backbones()]
    assert "tiny" not in texts(page).lower()
    values = [metric.value for metric in page.metric]
    assert {"19 MB", "3.4 million", "224 × 224 px", "75.1%"} <= set(values)
    for backbone in list_backbones():
        assert backbone.when_to_pick in texts(page)
    assert texts(page).count("works offline") == 3


def test_choosing_a_model_is_remembered_in_the_address_and_leads_on(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    assert not [found for found in page.button if found.label.startswith("Next")]
    page.button(key="use-efficientnet_lite1").click().run()
    assert page.query_params["model"] == "efficientnet_lite1"
    assert page.button(key="use-efficientnet_lite1").label == "Chosen"
    page.button(key="next-IMAGES").click().run()
    assert page.title[0].value == "2 · Images"


def test_another_model_forgets_the_depth_chosen_for_the_first(open_page: OpenPage) -> None:
    page = open_page("1_Model", model="efficientnet_lite0", unfrozen=3)
    page.button(key="use-efficientnet_lite2").click().run()
    assert "unfrozen" not in page.query_params


def test_a_made_up_address_is_ignored(open_page: OpenPage) -> None:
    page = open_page("1_Model", model="../../etc", images="../..", run="x' OR 1", unfrozen=-4)
    assert dict(page.query_params) == {}
    assert "Not chosen yet" in texts(page)
