"""A language in which every sentence is English with accents, longer by two fifths, between brackets.

A page in it shows at once which texts were never translated, are glued of pieces, or are cut.
"""

from __future__ import annotations

import re

from babel.messages.catalog import Catalog

PSEUDO = "en_XA"
OPENING, CLOSING = "⟦", "⟧"
# For the machine: placeholders, code, tags, addresses, icons, colours, entities, and options of commands.
_FIXED = re.compile(
    r"%?{[^{}]*}|`[^`]*`|<[^<>]*>|\]\([^)]*\)|https?://\S+|:material/\w+:|:[a-z-]+(?=\[)|&\w+;|(?<!\w)--?[a-z][\w-]*"
)
# Before the bracket, or the line would be no list, heading or quotation any more.
_LINE_START = re.compile(r"\s*(?:(?:[-*+]|#+|\d+\.|>)\s+)*")
_ACCENTED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "àƀçđéƒğĥîĵķļɱñöþɋŕšţûṽŵẋýžÀƁÇĐÉƑĞĤÎĴĶĻṀÑÖÞɊŔŠŢÛṼŴẊÝŽ",
)
_DOUBLED = re.compile("[aeiouyl]", re.IGNORECASE)


def pseudo_catalogue(template: Catalog) -> Catalog:
    """Return the sentences of a catalogue in the pseudo-language."""
    catalogue = Catalog(locale=PSEUDO, fuzzy=False)
    for message in template:
        if isinstance(message.id, str):
            text: str | tuple[str, ...] = pseudo(message.id)
        else:
            text = tuple(pseudo(form) for form in message.id)
        if message.id:
            catalogue.add(message.id, text, locations=message.locations)
    return catalogue


def pseudo(sentence: str) -> str:
    """Return a sentence in the pseudo-language; each of its lines is between brackets."""
    return "\n".join(_line(line) for line in sentence.split("\n"))


def _line(line: str) -> str:
    start = _LINE_START.match(line)
    begin = start.end() if start else 0
    words = line[begin:].rstrip()
    if not words:
        return line
    return f"{line[:begin]}{OPENING}{_accented(words)}{CLOSING}{line[begin + len(words) :]}"


def _accented(words: str) -> str:
    fixed = _FIXED.findall(words)
    said = [_longer(part) for part in _FIXED.split(words)]
    return "".join(part + mark for part, mark in zip(said, [*fixed, ""], strict=True))


def _longer(words: str) -> str:
    """Return words with each vowel twice: German makes the words longer, too, not only the sentence."""
    return _DOUBLED.sub(lambda letter: letter[0] + letter[0].lower(), words).translate(_ACCENTED)
