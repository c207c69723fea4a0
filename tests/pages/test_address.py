"""The address of a page: old, shortened or made up, it never breaks a page."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from pages.ui.app.session import session_from_address
from tests.conftest import ROOT
from tests.pages.conftest import OpenPage
from transfer_core.config import TrainingConfig
from transfer_core.data.dataset import ImageDataset
from transfer_core.runs.training_run import TrainingRun
from transfer_core.workspace import Workspace, new_id

PARAMETERS = ("model", "images", "unfrozen", "scratch", "run", "pick", "compare", "view", "part")
PAGES = ["", *sorted(path.stem for path in (ROOT / "pages").glob("*.py"))]
NASTY = {
    "a number of 5,000 digits": "9" * 5000,
    "a number of 400 digits": "1" * 400,
    "a negative number": "-1",
    "nothing": "",
    "digits of another script": "٣",
    "a superscript digit": "²",
    "a NUL": "a\0b",
    "a path": "../../../etc/passwd",
    "markup": "<img src=x onerror=alert(1)> **[a](b)** :red[c]",
    "many commas": "," * 3000,
    "the id of something deleted": new_id(),
}


@pytest.fixture
def valid(page_workspace: Workspace, dataset: ImageDataset) -> dict[str, str]:
    """An address in which all is as it should be."""
    config = TrainingConfig(backbone="tiny_random")
    first, second = (TrainingRun.create(page_workspace, dataset, config).id for _number in range(2))
    return {
        "model": "efficientnet_lite0",
        "images": dataset.id,
        "unfrozen": "3",
        "scratch": "1",
        "run": first,
        "pick": second,
        "compare": f"{first},{second}",
        "view": "depths",
        "part": "map",
    }


def test_a_valid_address_gives_what_it_says(valid: dict[str, str]) -> None:
    assert session_from_address(valid).query() == valid


@pytest.mark.parametrize("depth", ["9" * 5000, "1" * 400, "10", "-1", "٣", "²", "", "2\n"])
def test_a_depth_that_the_network_does_not_have_is_passed_over(valid: dict[str, str], depth: str) -> None:
    session = session_from_address({**valid, "unfrozen": depth})
    assert (session.backbone_name, session.num_unfrozen_blocks) == ("efficientnet_lite0", None)


def test_a_run_that_is_named_twice_is_compared_once(valid: dict[str, str]) -> None:
    session = session_from_address({**valid, "compare": f"{valid['run']},{valid['run']}"})
    assert session.compared_run_ids == (valid["run"],)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_an_address_says_gives_a_session_that_stays_the_same(
    valid: dict[str, str], data: st.DataObject
) -> None:
    anything = st.text(max_size=60) | st.sampled_from(list(NASTY.values()))
    values = {name: data.draw(st.just(valid[name]) | anything, label=name) for name in PARAMETERS}
    query = session_from_address(values).query()
    assert session_from_address(query).query() == query


@pytest.mark.parametrize("name", PAGES)
def test_no_page_breaks_on_an_address(name: str, valid: dict[str, str], open_page: OpenPage) -> None:
    # With a network: what else the address says is about it.
    for kind in ("a number of 5,000 digits", "a NUL"):
        page = open_page(name, **{**dict.fromkeys(PARAMETERS, NASTY[kind]), "model": valid["model"]})
        assert set(page.query_params) <= {"model"}


def test_ids_of_what_was_deleted_meanwhile_break_no_page(valid: dict[str, str], open_page: OpenPage) -> None:
    page: AppTest = open_page(
        "8_Compare", **{**valid, "compare": f"{new_id()},{valid['run']}", "view": "runs"}
    )
    assert page.query_params["compare"] == valid["run"]


@pytest.mark.parametrize("name", ["model", "images", "run", "pick"])
def test_a_link_to_what_is_not_here_says_so(name: str, valid: dict[str, str], open_page: OpenPage) -> None:
    page = open_page("9_Learn", **{name: valid[name]})
    assert not page.error
    page = open_page("9_Learn", **{name: new_id()})
    assert [error.value for error in page.error] == [
        "This link names something that is not here. It may have been deleted."
    ]
    page.run()
    assert not page.error
