"""Bring the catalogues in `locale/` in line with the sentences in the code, and list what they lack.

Example:
    python -m tools.languages
    python -m tools.languages --add it
    python -m tools.languages --check
    python -m tools.languages --pseudo /tmp/pseudo
"""

from __future__ import annotations

import ast
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click
from babel import Locale, UnknownLocaleError
from babel.messages.catalog import Catalog, Message
from babel.messages.plurals import get_plural
from babel.messages.pofile import read_po, write_po
from markdown_it import MarkdownIt

from tools.command_sentences import CLICK_SENTENCES, help_texts
from tools.pseudo_language import PSEUDO, pseudo_catalogue
from transfer_core.files import write_bytes
from transfer_core.language import LANGUAGE_VARIABLE
from transfer_core.recipes import LOCALE_VARIABLE, catalogue_folder

_ROOT = Path(__file__).resolve().parents[1]
_ROOMS = ("pages", "transfer_core")
_FILES = ("welcome.py", "app.py")
# How many arguments of a call are sentences; the second of two is for any other number than one.
_CALLS = {"_": 1, "N_": 1, "plural": 2}
# Without names and dates, so that an update without new sentences changes nothing.
_HEADER = (
    'msgid ""\nmsgstr ""\n"Language: {code}\\n"\n"Plural-Forms: {forms};\\n"\n"MIME-Version: 1.0\\n"\n'
    '"Content-Type: text/plain; charset=utf-8\\n"\n"Content-Transfer-Encoding: 8bit\\n"\n\n'
)
_PLACEHOLDER = re.compile(r"{[^{}]*}?|}")
_MARK = re.compile(r":material/\w+:|</?\w[^>]*>|^ +| +$|\n")
_MARKDOWN = MarkdownIt("commonmark")
_WORDS = {"text", "inline", "softbreak", "html_inline", "html_block", "code_block"}


@click.command()
@click.option("--add", "added", metavar="CODE", help="Begin a catalogue for a language, such as it or nl.")
@click.option("--check", "only_checks", is_flag=True, help="Change nothing; fail if anything is missing.")
@click.option(
    "--pseudo", metavar="FOLDER", type=click.Path(path_type=Path), help="Write a pseudo-language there."
)
def main(added: str | None, only_checks: bool, pseudo: Path | None) -> None:
    """Update all catalogues, and print what is missing in each."""
    if pseudo:
        write_pseudo(pseudo)
        click.echo(f"Try it with {LOCALE_VARIABLE}={pseudo} {LANGUAGE_VARIABLE}={PSEUDO}.")
        return
    if added:
        _add(added)
    template = extract()
    num_problems = 0
    for path in sorted(catalogue_folder().glob("*.po")):
        if not only_checks:
            write_bytes(path, written(updated(read(path), template)))
        problems = list(problems_in(path, template))
        num_problems += len(problems)
        click.echo(f"{path.name}: {len(template)} sentences, {len(problems)} to do")
        for problem in problems:
            click.echo(f"  {problem}")
    sys.exit(1 if only_checks and num_problems else 0)


def extract() -> Catalog:
    """Return all sentences in the code, with the files that they stand in."""
    catalogue = Catalog(fuzzy=False)
    paths = [path for room in _ROOMS for path in sorted((_ROOT / room).rglob("*.py"))]
    for path in (*paths, *(_ROOT / name for name in _FILES)):
        for texts in _sentences(path):
            place = path.relative_to(_ROOT).as_posix()
            catalogue.add(texts if len(texts) > 1 else texts[0], locations=[(place, 0)])
    for sentence in CLICK_SENTENCES:
        catalogue.add(sentence, locations=[("click", 0)])
    return catalogue


def read(path: Path) -> Catalog:
    """Return the catalogue in a file."""
    with path.open("rb") as source:
        return read_po(source, locale=path.stem)


def updated(catalogue: Catalog, template: Catalog) -> Catalog:
    """Return a catalogue with exactly the sentences of the code; a changed sentence is a new one."""
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    return catalogue


def written(catalogue: Catalog) -> bytes:
    """Return the file of a catalogue: the same bytes for the same sentences, sorted by file."""
    count, rule = get_plural(catalogue.locale or "en")
    header = _HEADER.format(code=catalogue.locale_identifier, forms=f"nplurals={count}; plural={rule}")
    file = io.BytesIO()
    write_po(file, catalogue, width=110, include_lineno=False, sort_by_file=True, omit_header=True)
    return header.encode() + file.getvalue()


def write_pseudo(folder: Path) -> None:
    """Write the catalogue of the pseudo-language into a folder, which is created."""
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / f"{PSEUDO}.po", written(pseudo_catalogue(extract())))


def problems_in(path: Path, template: Catalog) -> Iterator[str]:
    """Yield a line for each sentence of a file that is missing, uncertain, wrong or not in the code any more."""
    catalogue = read(path)
    known = {_key(message) for message in template if message.id}
    stale = [message for message in catalogue if message.id and _key(message) not in known]
    yield from (f"not in the code: {_key(message)[0]}" for message in (*stale, *catalogue.obsolete.values()))
    yield from (
        found
        for message in updated(catalogue, template)
        if message.id and (found := _problem(message, catalogue))
    )
    if path.read_text("utf-8") != written(catalogue).decode():
        yield "not as python -m tools.languages writes it"


def placeholders(text: str) -> set[str]:
    """Return the placeholders in a sentence, each with its format, and braces that belong to none."""
    return set(_PLACEHOLDER.findall(text))


def marks(text: str) -> Counter[str]:
    """Return the marks of a sentence: its Markdown, tags, icons, line breaks, and spaces at the ends."""
    tokens = [token for block in _MARKDOWN.parse(text) for token in (block, *(block.children or ()))]
    found = Counter(_MARK.findall(text))
    found.update(
        f"{token.type} {token.attrs or ''} {token.content}" for token in tokens if token.type not in _WORDS
    )
    return found


def _problem(message: Message, catalogue: Catalog) -> str:
    """Return the first thing that is wrong with a translation; empty if it is good."""
    english, texts = _key(message), _forms(message.string)
    if not all(texts):
        return f"missing: {english[0]}"
    if message.fuzzy:
        return f"fuzzy: {english[0]}"
    if len(english) > 1 and len(texts) != get_plural(catalogue.locale or "en")[0]:
        return f"other number of forms: {english[0]}"
    for place, text in enumerate(texts):
        # The form for one may leave out the number, as the English one may.
        models = english if place == 0 and len(texts) > 1 else english[-1:]
        if placeholders(text) not in map(placeholders, models):
            return f"other placeholders: {english[0]}"
        if marks(text) not in map(marks, models):
            return f"other marks: {english[0]}"
    return ""


def _forms(text: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ("",))


def _key(message: Message) -> tuple[str, ...]:
    return _forms(message.id)


def _add(code: str) -> None:
    path = catalogue_folder() / f"{code}.po"
    try:
        empty = Catalog(locale=Locale.parse(code), fuzzy=False)
    except (UnknownLocaleError, ValueError) as error:
        raise click.BadParameter(f"{code} is no code of a language, such as it or pt_BR.") from error
    if path.exists():
        raise click.BadParameter(f"{path.name} is there already.")
    write_bytes(path, written(empty))


def _sentences(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the texts of each translating call, in their order.

    Babel's own reader loses those within f-strings.
    """
    code = path.read_text("utf-8")
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name = getattr(call.func, "id", "") or getattr(call.func, "attr", "")
        texts = [text.value for text in call.args[: _CALLS.get(name, 0)] if isinstance(text, ast.Constant)]
        if texts:
            yield tuple(map(str, texts))
    if path.parent.name == "cli":
        yield from ((text,) for text in help_texts(code))


if __name__ == "__main__":
    main()
