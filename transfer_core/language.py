"""Every displayed text in the language of the person who sees it: sentences by gettext, numbers by Babel.

A sentence is written in English where it is made. `_` and `plural` return it in the language of the visitor, as a
`Message` that keeps its English and its values: `str()` of it, and of an error that carries it, says it again in the
language of whoever asks then, such as another visitor or a page that shows the end of a background task. What is
stored of it is its `Sentence`, and `said` makes a message of that again.
"""

from __future__ import annotations

import gettext
import io
import numbers
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from babel import Locale, UnknownLocaleError
from babel.dates import format_skeleton, get_datetime_format
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_decimal_symbol, get_group_symbol
from msgspec import Meta, Struct

ENGLISH = "en"
LANGUAGE_VARIABLE = "TRANSFER_STUDIO_LANGUAGE"
# A folder of catalogues in place of the app's own, to try one.
LOCALE_VARIABLE = "TRANSFER_STUDIO_LOCALE"
_OWN_CATALOGUES = Path(__file__).parents[1] / "locale"
_MOST_LETTERS = 100_000
# Sentences within sentences: a reason within an error within the end of a training.
_MOST_LEVELS = 8
# What a placeholder may say behind its colon: thousands separated, and a number of decimals.
_PLACEHOLDER = re.compile(
    r"(?P<brace>{{|}})|{(?P<name>\w+)(?::(?P<sign>\+?)(?P<thousands>,?)(?:\.(?P<digits>\d)f)?)?}"
)

_Text = Annotated[str, Meta(max_length=_MOST_LETTERS)]


class Number(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="number"):
    """A number as people of a language write it.

    Args:
        value: The number; for per cent 1.0 is 100 %.
        digits: After the decimal point.
        unit: "percent", or empty.
        thousands: Whether thousands are separated.
    """

    value: float
    digits: Annotated[int, Meta(ge=0, le=20)] = 0
    unit: Literal["", "percent"] = ""
    thousands: bool = True


class Sentence(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="sentence"):
    """A sentence as it is stored: its English, which is its id in the catalogues, and its values.

    Args:
        text: In English, for one.
        plural: For any other number; empty for a sentence that counts nothing.
        count: That selects the form.
        values: Of the placeholders by their names.
    """

    text: _Text
    plural: _Text = ""
    count: int = 0
    values: dict[_Text, Value] = {}


Recipe: TypeAlias = Sentence | Number
Value: TypeAlias = _Text | int | float | Sentence | Number | None
# A stored text: of this version with its values, or of an earlier version, which stored finished sentences.
StoredText: TypeAlias = _Text | Sentence | Number

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
        message = super().__new__(cls, _render(recipe, spoken, 0))
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
        if isinstance(recipe, Number):
            return self
        filled = {**recipe.values, **{name: _value(value) for name, value in values.items()}}
        return Message(Sentence(recipe.text, recipe.plural, recipe.count, filled))


def _(message: str) -> str:
    """Return a sentence, written in English, in the language of the visitor."""
    return Message(Sentence(message))


def N_(message: str) -> str:
    """Return a sentence unchanged; it is put into the catalogues, and translated with `_` where it is shown."""
    return message


def plural(singular: str, plural_form: str, count: int, **values: object) -> str:
    """Return the sentence for `count` in the language of the visitor, with `{count}` in separated thousands.

    Args:
        singular: Sentence for one, such as `"{count} image"`.
        plural_form: Sentence for any other number.
        count: Number that selects the form.
        **values: Values of the other placeholders.
    """
    filled = {name: _value(value) for name, value in values.items()}
    return Message(Sentence(singular, plural_form, count, {"count": Number(count), **filled}))


def number(value: float, digits: int = 0) -> str:
    """Return a number with `digits` decimals and separated thousands."""
    return Message(Number(value, digits))


def percent(share: float, digits: int = 0) -> str:
    """Return a share as per cent, such as `"88 %"`, with a space that no line breaks at.

    Args:
        share: 1.0 is 100 %.
        digits: After the decimal point.
    """
    return Message(Number(share, digits, "percent"))


def percent_range(lowest: float, highest: float) -> str:
    """Return two shares as a range in per cent, such as `"84 to 98 %"`."""
    return _("{lowest} to {highest}").format(lowest=number(100 * lowest), highest=percent(highest))


def number_separators() -> str:
    """Return the decimal point and the separator of thousands of the language of the visitor."""
    locale = _locale(language())
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
    pattern: str = get_datetime_format("medium", _date_locale()).replace("'", "")
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
    """Return a text as it is stored, to be said later in any language."""
    return text.recipe if isinstance(text, Message) else text


def said(text: StoredText) -> str:
    """Return a stored text in the language of the visitor; a finished sentence of an earlier version where known."""
    return _(text) if isinstance(text, str) else Message(text)


def language() -> str:
    """Return the code of the language of the visitor, such as `"de"` or `"pt_BR"`."""
    return _chosen.get() or _of_visitor() or default_language()


def language_tag(code: str = "") -> str:
    """Return a language, by default that of the visitor, as HTML and JavaScript write it, such as `"pt-BR"`."""
    return (code or language()).replace("_", "-")


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Let this thread say everything in a language, whoever the visitor is."""
    token = _chosen.set(code)
    try:
        yield
    finally:
        _chosen.reset(token)


def ask_visitor(of_visitor: Callable[[], str]) -> None:
    """Let a function name the language of whoever looks at the page of this thread; empty if there is nobody."""
    global _of_visitor
    _of_visitor = of_visitor


def default_language() -> str:
    """Return the language for whoever chose none that there is: of the environment, otherwise English."""
    return best_language([os.environ.get(LANGUAGE_VARIABLE, "")]) or ENGLISH


def languages() -> dict[str, str]:
    """Return the name of each language in itself by its code, English first."""
    codes = sorted(path.stem for path in catalogue_folder().glob("*.po"))
    return {code: _own_name(code) for code in (ENGLISH, *codes)}


def best_language(wanted: Iterable[str]) -> str:
    """Return the first language that there is for any of the wanted ones; empty if there is none.

    Args:
        wanted: Codes as browsers and environments write them, such as `"zh-Hans-CN"`, `"de_AT.UTF-8"` or `"pt"`, the
            most wanted first. Without a language of the region that of another region is taken.
    """
    folder = os.environ.get(LOCALE_VARIABLE, "")
    return next((found for code in wanted if (found := _best(code, folder))), "")


def catalogue_folder() -> Path:
    """Return the folder with a catalogue for each language, named by its code."""
    return Path(os.environ.get(LOCALE_VARIABLE) or _OWN_CATALOGUES)


@lru_cache(maxsize=1000)
def _best(code: str, _folder: str) -> str:
    parts = code.split(".")[0].replace("-", "_").lower().split("_")
    known = {name.lower(): name for name in languages()}
    if (exact := known.get("_".join(parts))) is not None:
        return exact
    return next((name for lower, name in known.items() if lower.split("_")[0] == parts[0]), "")


def _own_name(code: str) -> str:
    locale = _locale(code)
    name = {"zh_CN": "简体中文"}.get(code) or locale.get_display_name(locale) or code
    return name[:1].upper() + name[1:]


def _date(moment: date, skeleton: str) -> str:
    shown: str = format_skeleton(skeleton, moment, locale=_date_locale())
    return shown


def _date_locale() -> Locale:
    # The English of this app puts the day before the month.
    return _locale("en_GB" if language() == ENGLISH else language())


@lru_cache(maxsize=32)
def _locale(code: str) -> Locale:
    try:
        return Locale.parse(code)
    except (UnknownLocaleError, ValueError):
        return Locale(ENGLISH)


@lru_cache(maxsize=32)
def _catalogue(code: str, folder: str) -> gettext.NullTranslations:
    """Return a catalogue, compiled in memory; for English, which has no file, one without any sentence."""
    path = Path(folder or _OWN_CATALOGUES) / f"{code}.po"
    if not path.is_file():
        return gettext.NullTranslations()
    with path.open("rb") as source:
        catalogue = read_po(source)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _render(recipe: Recipe, code: str, level: int) -> str:
    if isinstance(recipe, Number):
        return _number(recipe, code)
    catalogue = _catalogue(code, os.environ.get(LOCALE_VARIABLE, ""))
    if recipe.plural:
        text = catalogue.ngettext(recipe.text, recipe.plural, recipe.count)
    else:
        text = catalogue.gettext(recipe.text) if recipe.text else ""
    return _filled(text, recipe.values, code, level) if recipe.values else text


def _filled(text: str, values: Mapping[str, Value], code: str, level: int) -> str:
    """Return a sentence with its values; a placeholder without one, as in a file by a stranger, stays."""

    def fill(found: re.Match[str]) -> str:
        if found["brace"] or found["name"] not in values:
            return found[0][0] if found["brace"] else found[0]
        value = values[found["name"]]
        if isinstance(value, Sentence | Number):
            return _render(value, code, level + 1) if level < _MOST_LEVELS else ""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return str(value)
        if found["digits"] is None and not found["thousands"]:
            return str(value) if isinstance(value, int) else _localized(repr(value), code)
        shown = Number(value, int(found["digits"] or 0), thousands=bool(found["thousands"]))
        return ("+" if found["sign"] and value >= 0 else "") + _number(shown, code)

    return _PLACEHOLDER.sub(fill, text)


def _number(number: Number, code: str) -> str:
    locale = _locale(code)
    pattern = ("#,##0" if number.thousands else "0") + ("." + "0" * number.digits if number.digits else "")
    if number.unit == "percent":
        shown: str = format_decimal(100 * number.value, format=pattern, locale=locale)
        return f"{shown}%" if locale.language == "zh" else f"{shown}\u00a0%"
    shown = format_decimal(number.value, format=pattern, locale=locale)
    return shown


def _localized(digits: str, code: str) -> str:
    symbol: str = get_decimal_symbol(_locale(code))
    return digits.replace(".", symbol)


def _value(value: Any) -> Value:
    if isinstance(value, Message):
        return value.recipe
    if isinstance(value, BaseException):
        return _value(str(value))
    if value is None or isinstance(value, bool | int | float):
        return value
    # Those of NumPy are none of Python's.
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else str(value)
