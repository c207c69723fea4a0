"""How a text is stored, and written in a language: sentences by gettext, numbers and lists by Babel.

A text that outlives the moment is no string but a recipe: a sentence in English, which is its id in the catalogues,
with the values of its placeholders, a number, or several of them in a row. Files by strangers hold recipes too, so that
none may take long to write, whatever is in it.
"""

from __future__ import annotations

import gettext
import io
import logging
import os
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, cast

from babel import Locale, UnknownLocaleError
from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, get_decimal_symbol
from msgspec import Meta, Struct
from msgspec.structs import replace

_logger = logging.getLogger(__name__)

ENGLISH = "en"
# A folder of catalogues in place of the app's own, to try one.
LOCALE_VARIABLE = "TRANSFER_STUDIO_LOCALE"
MOST_LETTERS = 100_000
# JSON readers in other languages keep whole numbers exact up to here.
LARGEST_WHOLE = 2**53
_OWN_CATALOGUES = Path(__file__).parents[1] / "locale"
# Recipes within recipes: a reason within an error within the end of a training.
_MOST_LEVELS = 8
MOST_PARTS = 1000
_LARGEST_ROUNDED = 1e15
# Languages that separate thousands from five digits on (CLDR, minimum grouping digits); Babel always does.
_LONG_NUMBERS_ALONE = ("es",)
# After these ends of Chinese sentences there is no space.
_WIDE_ENDS = ("。", "！", "？")  # noqa: RUF001
# Behind its colon a placeholder may have a sign, separated thousands and a number of decimals.
_PLACEHOLDER = re.compile(
    r"(?P<brace>{{|}})|{(?P<name>\w+)(?::(?P<sign>\+?)(?P<thousands>,?)(?:\.(?P<digits>\d)f)?)?}"
)

_Text = Annotated[str, Meta(max_length=MOST_LETTERS)]
_Whole = Annotated[int, Meta(ge=-LARGEST_WHOLE, le=LARGEST_WHOLE)]


class Number(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="number"
):
    """A number as people of a language write it.

    Args:
        value: The number; for per cent 1.0 is 100 %.
        digits: After the decimal point.
        unit: "percent", or empty.
        thousands: Whether thousands are separated.
    """

    value: _Whole | float
    digits: Annotated[int, Meta(ge=0, le=9)] = 0
    unit: Literal["", "percent"] = ""
    thousands: bool = True


class Sentence(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="sentence"
):
    """A sentence with its values.

    Args:
        text: In English, for one.
        plural: For any other number; empty for a sentence that counts nothing.
        count: That selects the form.
        values: Of the placeholders by their names.
    """

    text: _Text
    plural: _Text = ""
    count: _Whole = 0
    values: Annotated[dict[_Text, Value], Meta(max_length=MOST_PARTS)] = {}

    def __hash__(self) -> int:
        # The values are a dict, which has no hash.
        return hash((self.text, self.count))


class Joined(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind", tag="joined"
):
    """Several texts in a row.

    Args:
        parts: In their order.
        style: `"sentences"` that follow each other, `"names"` with commas, or names with `"and"` before the last.
    """

    parts: Annotated[tuple[Value, ...], Meta(max_length=MOST_PARTS)]
    style: Literal["sentences", "names", "and"] = "names"


Recipe: TypeAlias = Sentence | Number | Joined
Value: TypeAlias = _Text | _Whole | float | Sentence | Number | Joined | None
# A stored text: a recipe, or a finished sentence as in English and in files of earlier versions.
StoredText: TypeAlias = _Text | Sentence | Number | Joined


def written(recipe: Recipe, code: str) -> str:
    """Return a text in a language."""
    return _Writing(code).of(recipe, 0)


def with_changed_values(text: StoredText, change: Callable[[str], str]) -> StoredText:
    """Return a stored text with another text in place of each value, and of a finished sentence."""
    return cast(StoredText, _with_changed_values(text, change))


def catalogue_folder() -> Path:
    """Return the folder with a catalogue for each language, named by its code."""
    return Path(os.environ.get(LOCALE_VARIABLE) or _OWN_CATALOGUES)


def compiled_catalogue(code: str) -> bytes:
    """Return a catalogue as gettext reads it, for libraries that use gettext.

    It is empty for English, which has none, and for a damaged one.
    """
    return _compiled(code, os.environ.get(LOCALE_VARIABLE, ""))


@lru_cache(maxsize=32)
def locale_of(code: str) -> Locale:
    """Return the formats of a language; of English for a code without any."""
    try:
        return Locale.parse(code)
    except (UnknownLocaleError, ValueError):
        return Locale(ENGLISH)


class _Writing:
    """Writes one recipe in a language, within limits, so that a recipe by a stranger ends soon too."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._locale = locale_of(code)
        self._catalogue = _catalogue(code, os.environ.get(LOCALE_VARIABLE, ""))
        self._letters_left = MOST_LETTERS

    def of(self, value: Value, level: int) -> str:
        """Return a value in the language; empty if it is nested too deeply or the text is too long already."""
        if level > _MOST_LEVELS or self._letters_left < 0:
            return ""
        match value:
            case Sentence():
                return self._sentence(value, level)
            case Joined():
                return self._joined([self.of(part, level + 1) for part in value.parts], value.style)
            case Number():
                text = _number(value, self._locale)
            case float():
                text = repr(value).replace(".", get_decimal_symbol(self._locale))
            case _:
                text = str(value)
        self._letters_left -= 1 + len(text)
        return text

    def _sentence(self, sentence: Sentence, level: int) -> str:
        if sentence.plural:
            text = self._catalogue.ngettext(sentence.text, sentence.plural, sentence.count)
        else:
            # The empty sentence is the id of a catalogue's header.
            text = self._catalogue.gettext(sentence.text) if sentence.text else ""
        self._letters_left -= 1 + len(text)
        if not sentence.values:
            return text
        return _PLACEHOLDER.sub(lambda found: self._filled(found, sentence.values, level), text)

    def _filled(self, found: re.Match[str], values: dict[str, Value], level: int) -> str:
        """Return the value of a placeholder; one without a value, as in a file by a stranger, is kept."""
        if found["brace"]:
            return found[0][0]
        if found["name"] not in values:
            return found[0]
        value, sign = values[found["name"]], ""
        if isinstance(value, int | float) and (found["digits"] is not None or found["thousands"]):
            sign = "+" if found["sign"] and value >= 0 else ""
            value = Number(value, int(found["digits"] or 0), thousands=bool(found["thousands"]))
        return sign + self.of(value, level + 1)

    def _joined(self, parts: list[str], style: str) -> str:
        if style == "and":
            # Without the comma before "and" that Americans write.
            listed: str = format_list(parts, locale="en_GB" if self._code == ENGLISH else self._locale)
            return listed
        if style == "names":
            comma: str = self._locale.list_patterns["standard"]["middle"].format("", "")
            return comma.join(parts)
        # Such an end may stand within marks of Markdown.
        is_wide = [part.rstrip("*_").endswith(_WIDE_ENDS) for part in parts]
        return "".join(
            part if wide else f"{part} " for part, wide in zip(parts, is_wide, strict=True)
        ).rstrip()


def _with_changed_values(value: Value, change: Callable[[str], str]) -> Value:
    match value:
        case str():
            return change(value)
        case Sentence():
            values = {name: _with_changed_values(part, change) for name, part in value.values.items()}
            return replace(value, values=values)
        case Joined():
            return replace(value, parts=tuple(_with_changed_values(part, change) for part in value.parts))
    return value


def percent_sign_of(locale: Locale) -> str:
    """Return the sign behind a number, with the space before it at which no line breaks where a language has one."""
    # The English of this app has it as well.
    has_space = locale.language == ENGLISH or "\u00a0" in locale.percent_formats[None].pattern
    return "\u00a0%" if has_space else "%"


@lru_cache(maxsize=32)
def _catalogue(code: str, folder: str) -> gettext.NullTranslations:
    """Return a catalogue; one without any sentence for English, which has no file, and for a damaged one."""
    compiled = _compiled(code, folder)
    return gettext.GNUTranslations(io.BytesIO(compiled)) if compiled else gettext.NullTranslations()


@lru_cache(maxsize=32)
def _compiled(code: str, folder: str) -> bytes:
    path = Path(folder or _OWN_CATALOGUES) / f"{code}.po"
    if not path.is_file():
        return b""
    try:
        with path.open("rb") as source:
            catalogue = read_po(source)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        # Try the rule for plurals too: its errors come late.
        gettext.GNUTranslations(compiled).ngettext("", "", 1)
    except Exception:
        # Translators edit these files by hand, and Babel raises whatever it meets. Without one the app is in English.
        _logger.exception("The catalogue %s cannot be read. Its language is shown in English", path)
        return b""
    return compiled.getvalue()


def _number(number: Number, locale: Locale) -> str:
    value = 100 * number.value if number.unit == "percent" else number.value
    is_short = locale.language in _LONG_NUMBERS_ALONE and abs(value) < 10_000
    whole = "#,##0" if number.thousands and not is_short else "0"
    pattern = whole + ("." + "0" * number.digits if number.digits else "")
    # Babel cannot round larger ones, infinity and NaN.
    is_usual = abs(value) < _LARGEST_ROUNDED
    shown: str = format_decimal(value, format=pattern, locale=locale) if is_usual else f"{value:g}"
    if number.unit == "percent":
        return shown + percent_sign_of(locale)
    return shown
