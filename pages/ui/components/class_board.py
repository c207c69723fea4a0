"""A card for each pupil of a class."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from pages.ui.components.component import component
from transfer_core.language import _

ActionKind = Literal["show", "open", "remove"]


@dataclass(frozen=True)
class CardPhoto:
    """A photo on a card: its address, and what it shows."""

    source: str
    label: str


@dataclass(frozen=True)
class CardWords:
    """A pupil's card in words.

    Args:
        id: Of the pupil.
        name: Of the pupil.
        is_here: Whether they have a page open.
        when: Whether they are here, or since when they are away.
        counts: How many photos they have.
        photos: Their newest photos.
        stage: Of the training that is under way; empty without one.
        share: How much of it is done, 0-1.
        accuracy: Of their newest model; empty without one.
        mistake_words: Above the photos that this model got wrong.
        mistakes: Some of these photos.
    """

    id: str
    name: str
    is_here: bool
    when: str
    counts: str
    photos: Sequence[CardPhoto]
    stage: str
    share: float
    accuracy: str
    mistake_words: str
    mistakes: Sequence[CardPhoto]


def show_class_board(cards: Collection[CardWords], key: str) -> tuple[ActionKind, str] | None:
    """Draw the cards, and return the action that the teacher picks and the id of the pupil; None if none was.

    Args:
        cards: In the order on screen. Drawn again with others, they change in place.
        key: Of the component.
    """
    chosen = component("class_board")(
        key=key,
        data={"cards": [asdict(card) for card in cards], "words": _words()},
        on_action_change=lambda: None,
    )
    action = chosen.action if isinstance(chosen.action, dict) else {}
    # Both come from the browser.
    kind = next((known for known in get_args(ActionKind) if known == action.get("kind")), None)
    person_id = next((card.id for card in cards if card.id == action.get("id")), "")
    return (kind, person_id) if kind and person_id else None


def _words() -> dict[str, str]:
    return {
        "accuracy": _("{accuracy} accuracy"),
        "show": _("Projector"),
        "show_of": _("Show the work of {name} on the projector"),
        "open": _("Photos"),
        "open_of": _("Photos of {name}"),
        "remove": _("Remove"),
        "remove_of": _("Remove {name} from the class"),
    }
