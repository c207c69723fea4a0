"""Translation of all displayed sentences with gettext; the message ids are the English sentences."""

import gettext
from pathlib import Path

_catalog = gettext.translation("transfer_studio", localedir=Path(__file__).parent / "locale", fallback=True)


def _(message: str) -> str:
    """Return the translation of `message`, or `message` itself if no catalogue has it."""
    return _catalog.gettext(message)


def plural(singular: str, plural_form: str, count: int, **values: object) -> str:
    """Return the translated singular or plural for `count`, with `{count}` formatted with thousands separators.

    Args:
        singular: Sentence for one, such as `"{count} image"`.
        plural_form: Sentence for any other number.
        count: Number that selects the form.
        **values: Values of the other placeholders.
    """
    return _catalog.ngettext(singular, plural_form, count).format(count=f"{count:,}", **values)


def percent(share: float, digits: int = 0) -> str:
    """Return a share as per cent, such as `"88 %"`, with a space that no line breaks at.

    Args:
        share: 1.0 is 100 %.
        digits: After the decimal point.
    """
    return f"{100 * share:.{digits}f}\u00a0%"


def percent_range(lowest: float, highest: float) -> str:
    """Return two shares as a range in per cent, such as `"84 to 98 %"`."""
    return _("{lowest} to {highest}").format(lowest=f"{100 * lowest:.0f}", highest=percent(highest))
