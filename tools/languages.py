"""Bring the catalogues in `locale/` in line with the sentences in the code, and list what they lack.

Example:
    python -m tools.languages
    python -m tools.languages --add it
    python -m tools.languages --check
"""

from __future__ import annotations

import io
import string
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from tools.command_sentences import CLICK_SENTENCES, help_texts
from transfer_core.files import write_bytes
from transfer_core.recipes import catalogue_folder

_ROOT = Path(__file__).resolve().parents[1]
_ROOMS = ("pages", "transfer_core")
_FILES = ("welcome.py", "app.py")
# Sentences by the call that they stand in; the second of two is for any other number than one.
_CALLS = {"_": None, "N_": None, "plural": (1, 2)}
_METHODS = [("**.py", "python")]
_PROJECT = "Transfer Studio"


@click.command()
@click.option("--add", "added", help="Code of a new language, such as it or nl.")
@click.option("--check", "only_checks", is_flag=True, help="Change nothing; fail if anything is missing.")
def main(added: str | None, only_checks: bool) -> None:
    """Update all catalogues, and print what is missing in each."""
    template = extract()
    if added:
        _write(catalogue_folder() / f"{added}.po", Catalog(locale=Locale.parse(added), project=_PROJECT))
    num_problems = 0
    for path in sorted(catalogue_folder().glob("*.po")):
        catalogue = read(path)
        before = _written(catalogue)
        catalogue.update(template, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        if only_checks and _written(catalogue) != before:
            click.echo(f"{path.name}: is not up to date. Run python -m tools.languages.")
            num_problems += 1
        elif not only_checks:
            _write(path, catalogue)
        problems = list(problems_of(catalogue))
        num_problems += len(problems)
        click.echo(f"{path.name}: {len(catalogue)} sentences, {len(problems)} to do")
        for problem in problems:
            click.echo(f"  {problem}")
    sys.exit(1 if only_checks and num_problems else 0)


def extract() -> Catalog:
    """Return all sentences in the code, with the files that they stand in."""
    catalogue = Catalog(project=_PROJECT, fuzzy=False)
    for place, _line, text, comments, _context in _sentences():
        catalogue.add(text, locations=[(place, 0)], auto_comments=comments)
    for text in CLICK_SENTENCES:
        catalogue.add(text, locations=[("click", 0)])
    return catalogue


def read(path: Path) -> Catalog:
    """Return the catalogue in a file."""
    with path.open("rb") as source:
        return read_po(source, locale=path.stem)


def problems_of(catalogue: Catalog) -> Iterator[str]:
    """Yield a line for each sentence that is missing, not certain, or has other placeholders than the English one."""
    for message in catalogue:
        if not message.id:
            continue
        english = message.id if isinstance(message.id, str) else message.id[0]
        texts = [message.string] if isinstance(message.string, str) else list(message.string or [""])
        if not all(texts):
            yield f"missing: {english}"
        elif message.fuzzy:
            yield f"fuzzy: {english}"
        elif any(placeholders(text) != wanted for text, wanted in _pairs(message, texts)):
            yield f"other placeholders: {english}"


def placeholders(text: str) -> set[str]:
    """Return the names of the placeholders in a sentence, each with its format."""
    return {f"{name}:{spec}" for _literal, name, spec, _conversion in string.Formatter().parse(text) if name}


def _pairs(message: Message, texts: list[str]) -> Iterator[tuple[str, set[str]]]:
    """Yield each form with its placeholders in English; the form for one may leave out the number, as English may."""
    if isinstance(message.id, str):
        yield texts[0], placeholders(message.id)
        return
    wanted = placeholders(message.id[1])
    for place, text in enumerate(texts):
        is_for_one = place == 0 and len(texts) > 1
        lacks_count = is_for_one and "count:" not in placeholders(text)
        yield text, wanted - {"count:"} if lacks_count else wanted


def _sentences() -> Iterator[tuple[str, int, str | tuple[str, ...], list[str], str | None]]:
    for room in _ROOMS:
        found = extract_from_dir(_ROOT / room, _METHODS, keywords=_CALLS)
        for place, line, text, comments, context in found:
            yield f"{room}/{place}", line, text, comments, context
    for name in _FILES:
        found = extract_from_dir(
            _ROOT, [(name, "python")], keywords=_CALLS, directory_filter=lambda _path: False
        )
        yield from found
    for path in sorted((_ROOT / "transfer_core" / "cli").glob("*.py")):
        for text in help_texts(path.read_text("utf-8")):
            yield path.relative_to(_ROOT).as_posix(), 0, text, [], None


def _write(path: Path, catalogue: Catalog) -> None:
    write_bytes(path, _written(catalogue))


def _written(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    write_po(file, catalogue, width=110, include_lineno=False, sort_by_file=True, omit_header=False)
    return file.getvalue()


if __name__ == "__main__":
    main()
