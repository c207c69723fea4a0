"""Every sentence goes through one call, which leaves English as it is."""

import ast
from pathlib import Path

import pytest

import transfer_core
from transfer_core.language import _, plural

ENGINE = Path(transfer_core.__file__).parent


def test_without_a_catalogue_a_sentence_stays_as_it_is() -> None:
    assert _("Choose a folder.") == "Choose a folder."


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (12_345, "12,345 images")]
)
def test_the_form_fits_the_count(count: int, text: str) -> None:
    assert plural("{count} image", "{count} images", count) == text


def test_what_is_translated_is_a_whole_sentence_not_one_put_together() -> None:
    """A catalogue can only have what is written down: no f-string, no variable, no sum."""
    calls = [
        (path.name, node.lineno, node.args[0])
        for path in ENGINE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_"
    ]
    assert len(calls) > 50
    assert [(name, line) for name, line, text in calls if not isinstance(text, ast.Constant)] == []
