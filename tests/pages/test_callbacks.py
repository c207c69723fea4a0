"""Callbacks do not draw: a message of theirs waits for the page."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PAGES = Path(__file__).resolve().parents[2] / "pages"
WRAPPERS_THAT_DRAW = {"guarded", "for_teacher"}


def callbacks(source: str) -> list[ast.expr]:
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    keywords = [keyword for call in calls for keyword in call.keywords]
    return [keyword.value for keyword in keywords if (keyword.arg or "").startswith("on_")]


def draws(callback: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id in WRAPPERS_THAT_DRAW for node in ast.walk(callback))


@pytest.mark.parametrize(
    "path", sorted(PAGES.rglob("*.py")), ids=lambda path: path.relative_to(PAGES).as_posix()
)
def test_no_callback_draws_its_message(path: Path) -> None:
    assert not [ast.unparse(found) for found in callbacks(path.read_text("utf-8")) if draws(found)]


def test_a_callback_that_draws_is_found() -> None:
    found = callbacks('component(on_frame_change=partial(guarded(take), session), on_click="ignore")')
    assert [draws(callback) for callback in found] == [True, False]
