"""Step 1: the model."""

from __future__ import annotations

from tests.pages.conftest import OpenPage, texts
from transfer_core.backbones.registry import bundled_backbones, list_backbones


def shown_models(page) -> list[str]:
    """The names of the models in the list of all."""
    keys = [str(found.key) for found in page.button]
    return [key.removeprefix("look-at-") for key in keys if key.startswith("look-at-")]


def test_shows_a_card_for_each_bundled_model_first(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    titles = [found.value for found in page.subheader]
    assert titles[:3] == [backbone.title for backbone in bundled_backbones()]
    assert "tiny" not in texts(page).lower()
    values = [metric.value for metric in page.metric]
    assert {"19 MB", "3.4 million", "224 × 224 px", "75.1%"} <= set(values)
    for backbone in bundled_backbones():
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


def test_every_published_model_is_listed_and_search_and_filters_narrow_the_list(open_page: OpenPage) -> None:
    page = open_page("1_Model")
    assert shown_models(page) == [backbone.name for backbone in list_backbones()]
    page.text_input(key="model-search").set_value("res net").run()
    assert shown_models(page)[:2] == ["resnet50", "resnet101"]
    page.text_input(key="model-search").set_value("").run()
    page.button_group(key="model-wishes").set_value(["small", "accurate"]).run()
    assert shown_models(page) == ["efficientnet_b2", "efficientnet_v2_b2"]
