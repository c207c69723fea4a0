"""The component in which a person sorts photos into classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pages.ui.app.session import Session
from pages.ui.components.component import component, sent_message
from transfer_core.language import _

_KEY = "guess-game"


def show_guess_game(
    session: Session, round_id: str, photos: Sequence[str], class_names: Sequence[str]
) -> None:
    """Draw the photos one after the other; the session keeps the guesses when all are sorted.

    Args:
        session: Keeps the guesses.
        round_id: Of the run and the round, in the letters that `sent_message` admits.
        photos: Their addresses, at least one.
        class_names: Of the buttons.
    """
    component("guess_game")(
        key=_KEY,
        data={
            "id": round_id,
            "photos": list(photos),
            "class_names": list(class_names),
            "words": {
                "question": _("What is this?"),
                "count": _("Photo {number} of {total}"),
                "back": _("Back"),
                "keys": _("Number keys work too."),
            },
        },
        on_round_change=partial(take_guesses, session, round_id, len(photos)),
    )


def take_guesses(session: Session, round_id: str, num_photos: int) -> None:
    """Keep the guesses that the component has just sent, if they are those of this whole round."""
    message = sent_message(_KEY, "round", "id")
    if message and message["id"] == round_id and len(message["guesses"]) == num_photos:
        session.guesses[round_id] = tuple(map(str, message["guesses"]))
