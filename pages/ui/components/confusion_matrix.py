"""A confusion matrix as a table whose cells are picked by click or keyboard."""

from __future__ import annotations

from typing import Any

from pages.ui.app.words import short_names
from pages.ui.components.component import component
from transfer_core.evaluation.evaluation import Evaluation
from transfer_core.language import _

Cell = tuple[int, int]


def choose_cell(evaluation: Evaluation, key: str) -> tuple[str, str]:
    """Draw the confusion matrix of an evaluation.

    Args:
        evaluation: Of one set of photos.
        key: Unique for each set of photos.

    Returns:
        The true and the predicted class of the picked cell; at first that with the most mistakes.
    """
    names, counts = evaluation.class_names, evaluation.confusion_matrix
    first = _worst_cell(counts)
    chosen = component("confusion_matrix")(
        key=key,
        data={
            "names": names,
            "short_names": list(short_names(names).values()),
            "counts": counts,
            "first": first,
            "words": _words(),
        },
        on_cell_change=lambda: None,
    )
    row, column = _valid_cell(chosen.cell, len(names)) or first
    return names[row], names[column]


def _worst_cell(counts: tuple[tuple[int, ...], ...]) -> Cell:
    """Return row and column of the cell with the most mistakes; the first correct cell if there are none."""
    places = range(len(counts))
    cells = [(row, column) for row in places for column in places if row != column]
    row, column = max(cells, key=lambda cell: counts[cell[0]][cell[1]], default=(0, 0))
    return (row, column) if counts[row][column] else (0, 0)


def _valid_cell(cell: Any, num_classes: int) -> Cell | None:
    """Return a cell that came from the browser; None if the matrix has no such cell."""
    if not isinstance(cell, list) or len(cell) != 2:
        return None
    row, column = cell
    is_valid = all(isinstance(place, int) and 0 <= place < num_classes for place in (row, column))
    return (row, column) if is_valid else None


def _words() -> dict[str, str]:
    return {
        "table": _("Confusion matrix"),
        "truth": _("True class"),
        "said": _("The model said"),
        "right": _("{true}, correct: {count}"),
        "wrong": _("{true}, said {said}: {count}"),
        "share": _("{share} % of {true}"),
        "legend_right": _("correct"),
        "legend_wrong": _("mistake"),
        "hint": _("Pick a cell to see its photos."),
        "list": _("All cells as a list"),
    }
