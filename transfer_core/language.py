"""Every displayed text in the language of the person who sees it: sentences by gettext, numbers by Babel.

A sentence is written in English where it is made. `_` and `plural` return it in the language of the visitor, as a
`Message` that keeps its English and its values: `str()` of it, and of an error that carries it, says it again in the
language of whoever asks then, such as another visitor or a page that shows the end of a background task. What is
stored of it is its `Sentence`, and `said` makes a message of that again.
"""

from __future__ import annotations

import logging
import math
import numbers
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from babel import Locale
from babel.dates import format_skeleton, get_datetime_format
from babel.numbers import format_compact_decimal, get_decimal_symbol, get_group_symbol

from transfer_core.recipes import (
    ENGLISH,
    LARGEST_WHOLE,
    LOCALE_VARIABLE,
    MOST_LETTERS,
    MOST_PARTS,
    Joined,
    Number,
    Recipe,
    Sentence,
    StoredText,
    Value,
    catalogue_folder,
    locale_of,
    percent_sign_of,
    written,
)

LANGUAGE_VARIABLE = "TRANSFER_STUDIO_LANGUAGE"
# Letters of an error of a library, which may be a page.
_LONGEST_REASON = 300

_chosen: ContextVar[str] = ContextVar("chosen_language", default="")
_of_visitor: Callable[[], str] = lambda: ""  # noqa: E731  (replaced by the pages)


class Message(str):
    """A text in the language of whoever asked for it; `str()` says it in the language of whoever asks now."""

    __slots__ = ("language", "recipe")
    language: str
    recipe: Recipe

    def __new__(cls, recipe: Recipe) -> Message:
        """Say a recipe in the current language."""
        spoken = language()
        message = super().__new__(cls, written(recipe, spoken))
        message.language, message.recipe = spoken, recipe
        return message

    def __str__(self) -> str:
        return self if self.language == language() else Message(self.recipe)

    def __reduce__(self) -> tuple[type[Message], tuple[Recipe]]:
        return Message, (self.recipe,)

    def format(self, *_args: object, **values: object) -> Message:
        """Return the message with the values of its placeholders.

        A number stays a number until it is shown: `{count:,}` and `{count:.1f}` are written as in the language.
        """
        recipe = self.recipe
        if not isinstance(recipe, Sentence):
            return self
        filled = {**recipe.values, **{name: _value(value) for name, value in values.items()}}
        return Message(Sentence(recipe.text, recipe.plural, recipe.count, filled))


def _(message: str) -> str:
    """Return a sentence, written in English, in the language of the visitor."""
    return Message(Sentence(message))


def N_(message: str) -> str:
    """Return a sentence unchanged, but put it into the catalogues: it is translated where it is shown."""
    return message


# What the system says on Linux and macOS when a file or a connection fails.
_SYSTEM_REASONS = frozenset(
    {
        N_("Cannot allocate memory"),
        N_("Connection refused"),
        N_("Connection reset by peer"),
        N_("Disk quota exceeded"),
        N_("File exists"),
        N_("File name too long"),
        N_("Input/output error"),
        N_("Is a directory"),
        N_("Network is unreachable"),
        N_("No route to host"),
        N_("No space left on device"),
        N_("No such file or directory"),
        N_("Not a directory"),
        N_("Operation not permitted"),
        N_("Permission denied"),
        N_("Read-only file system"),
        N_("Too many open files"),
    }
)


def plural(singular: str, plural_form: str, count: int, **values: object) -> str:
    """Return the sentence for `count` in the language of the visitor, with `{count}` in separated thousands.

    Args:
        singular: Sentence for one, such as `"{count} image"`.
        plural_form: Sentence for any other number.
        count: Number that selects the form.
        **values: Values of the other placeholders.
    """
    filled = {name: _value(value) for name, value in values.items()}
    return Message(Sentence(singular, plural_form, int(count), {"count": Number(int(count)), **filled}))


def number(value: float, digits: int = 0) -> str:
    """Return a number with `digits` decimals and separated thousands."""
    return Message(Number(_plain_number(value), digits))


def compact_number(value: float) -> str:
    """Return a large number with one decimal, counted as people of the language do, such as `"3.4 million"`."""
    shown: str = format_compact_decimal(
        value, format_type="long", locale=locale_of(language()), fraction_digits=1
    )
    return shown


def percent(share: float, digits: int = 0) -> str:
    """Return a share as per cent, such as `"88 %"`, with a space that no line breaks at.

    Args:
        share: 1.0 is 100 %.
        digits: After the decimal point.
    """
    return Message(Number(_plain_number(share), digits, "percent"))


def percent_sign() -> str:
    """Return what stands behind a number of per cent, for charts and tables that write their numbers themselves."""
    return percent_sign_of(locale_of(language()))


def percent_range(lowest: float, highest: float) -> str:
    """Return two shares as a range in per cent, such as `"84 to 98 %"`."""
    return _("{lowest} to {highest}").format(lowest=number(100 * lowest), highest=percent(highest))


def sentences(*parts: str) -> str:
    """Return sentences one after the other; empty ones are left out."""
    return Message(Joined(tuple(_value(part) for part in parts if part)[:MOST_PARTS], "sentences"))


def names_list(names: Iterable[object], *, has_and: bool = False, most: int = MOST_PARTS - 1) -> str:
    """Return names with commas between them, such as `"a, b, c"`.

    Args:
        names: In their order.
        has_and: Whether the last one is joined as in `"a, b and c"`.
        most: After as many names, "…" stands for all others.
    """
    parts = tuple(map(_value, names))
    if len(parts) > most:
        parts = (*parts[:most], "…")
    return Message(Joined(parts, "and" if has_and else "names"))


def significant(value: float, digits: int = 6) -> float:
    """Return a number rounded to significant digits, for a placeholder such as `{rate}`; a whole one as an `int`."""
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def number_separators() -> str:
    """Return the decimal point and the separator of thousands of the language of the visitor."""
    locale = locale_of(language())
    symbols: str = get_decimal_symbol(locale) + get_group_symbol(locale)
    return symbols


def date_words(day: date) -> str:
    """Return a date such as `"28 Nov 2026"`."""
    return _date(day, "yMMMd")


def time_words(moment: datetime) -> str:
    """Return a time of day such as `"14:02"`."""
    return _date(moment, "Hm")


def date_time_words(moment: datetime) -> str:
    """Return a moment of this year such as `"28 Nov, 14:02"`."""
    pattern = str(get_datetime_format("medium", _date_locale())).replace("'", "")
    return pattern.format(_date(moment, "Hm"), _date(moment, "MMMd"))


def sort_key(text: str) -> tuple[str, str]:
    """Return the key by which people who read the language of the visitor expect names to be sorted.

    Capital letters and accents count only between names that are otherwise equal. In Spanish ñ is a letter of its own.
    Chinese characters are sorted by their sound, by which the standard GB 2312 orders the common ones.
    """
    plain, code = text.casefold(), language()
    if code.startswith("es"):
        plain = unicodedata.normalize("NFC", plain).replace("ñ", "n\uffff")
    parts = unicodedata.normalize("NFD", plain)
    plain = "".join(letter for letter in parts if not unicodedata.combining(letter))
    if code.startswith("zh"):
        plain = plain.encode("gb18030", "replace").decode("latin-1")
    return plain, text


def stored(text: str) -> StoredText:
    """Return the stored form of a text, which `said` shows in any language.

    A sentence without values is stored as its English alone.
    """
    recipe = text.recipe if isinstance(text, Message) else str(text)
    return recipe.text if isinstance(recipe, Sentence) and not recipe.plural and not recipe.values else recipe


def said(text: StoredText) -> str:
    """Return a stored text in the language of the visitor. A finished sentence is translated if a catalogue has it."""
    if isinstance(text, Message):
        return str(text)
    return Message(Sentence(text) if isinstance(text, str) else text)


def language() -> str:
    """Return the code of the language of the visitor, such as `"de"` or `"pt_BR"`."""
    return _chosen.get() or _of_visitor() or default_language()


def language_tag(code: str = "") -> str:
    """Return a language, by default that of the visitor, as HTML and JavaScript write it, such as `"pt-BR"`."""
    return (code or language()).replace("_", "-")


def log_in_english() -> None:
    """Let this process log in English, whoever the visitor is: one person reads the log of all."""
    logging.setLogRecordFactory(_EnglishRecord)


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Let this thread say everything in a language, whoever the visitor is."""
    token = _chosen.set(code)
    try:
        yield
    finally:
        _chosen.reset(token)


def ask_visitor(of_visitor: Callable[[], str]) -> None:
    """Set the function that returns the language of the visitor of this thread; empty in a thread without one."""
    global _of_visitor
    _of_visitor = of_visitor


def default_language() -> str:
    """Return the language of `TRANSFER_STUDIO_LANGUAGE`; English if it is not set or the app does not have it."""
    return best_language([os.environ.get(LANGUAGE_VARIABLE, "")]) or ENGLISH


def languages() -> dict[str, str]:
    """Return the name of each language in itself by its code, English first."""
    codes = sorted(path.stem for path in catalogue_folder().glob("*.po"))
    return {code: _own_name(code) for code in (ENGLISH, *codes)}


def best_language(wanted: Iterable[str]) -> str:
    """Return the first of the wanted languages that the app has; empty if it has none of them.

    Args:
        wanted: Codes as browsers and environments write them, such as `"zh-Hans-CN"`, `"de_AT.UTF-8"` or `"pt"`, the
            most wanted first. If the app lacks the language of a region, it takes that of another region.
    """
    folder = os.environ.get(LOCALE_VARIABLE, "")
    return next((found for code in wanted if (found := _best(code, folder))), "")


class _EnglishRecord(logging.LogRecord):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0]:
            with speaking(ENGLISH):
                self.exc_text = logging.Formatter().formatException(self.exc_info)

    def getMessage(self) -> str:
        with speaking(ENGLISH):
            # A message would be said once more by whoever writes it.
            return str.__str__(super().getMessage())


@lru_cache(maxsize=1000)
def _best(code: str, _folder: str) -> str:
    parts = code.split(".")[0].replace("-", "_").lower().split("_")
    known = {name.lower(): name for name in languages()}
    if (exact := known.get("_".join(parts))) is not None:
        return exact
    return next((name for lower, name in known.items() if lower.split("_")[0] == parts[0]), "")


def _own_name(code: str) -> str:
    locale = locale_of(code)
    name = {"zh_CN": "简体中文"}.get(code) or locale.get_display_name(locale) or code
    return name[:1].upper() + name[1:]


def _date(moment: date, skeleton: str) -> str:
    shown: str = format_skeleton(skeleton, moment, locale=_date_locale())
    return shown


def _date_locale() -> Locale:
    # The English of this app puts the day before the month.
    return locale_of("en_GB" if language() == ENGLISH else language())


def _value(value: Any) -> Value:
    if isinstance(value, Message):
        return value.recipe
    if isinstance(value, OSError) and value.strerror:
        return Sentence(value.strerror) if value.strerror in _SYSTEM_REASONS else value.strerror
    if isinstance(value, BaseException):
        reason = str(value)
        return reason.recipe if isinstance(reason, Message) else " ".join(reason.split())[:_LONGEST_REASON]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return str(value)[:MOST_LETTERS]
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return whole if abs(whole) <= LARGEST_WHOLE else str(whole)
    # JSON has no infinity and no NaN.
    return float(value) if math.isfinite(value) else str(float(value))


def _plain_number(value: Any) -> float:
    """Return a number of NumPy as one of Python, which alone can be stored."""
    is_whole = isinstance(value, numbers.Integral) and abs(int(value)) <= LARGEST_WHOLE
    return int(value) if is_whole else float(value)
