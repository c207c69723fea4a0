"""The one call that every sentence a person reads goes through, gettext style, English first."""

import gettext
from pathlib import Path

_catalog = gettext.translation("transfer_studio", localedir=Path(__file__).parent / "locale", fallback=True)


def _(message: str) -> str:
    """Return `message` in the language of the person, or as it is when no catalogue has it."""
    return _catalog.gettext(message)


def plural(singular: str, plural_form: str, count: int, **values: object) -> str:
    """Return the form of a sentence that fits `count`, with `{count}` filled in.

    Args:
        singular: The sentence for one, such as `"{count} image"`.
        plural_form: The sentence for any other number.
        count: How many there are.
        **values: Fill in the other places of the sentence.
    """
    return _catalog.ngettext(singular, plural_form, count).format(count=f"{count:,}", **values)
