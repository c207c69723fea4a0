"""The language of the command line: which one it is, and the help of its commands and Click's own words in it."""

from __future__ import annotations

import copy
import gettext
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import click

from transfer_core.language import LANGUAGE_VARIABLE, _, best_language, languages, names_list, said, speaking
from transfer_core.recipes import ENGLISH, compiled_catalogue

# Gettext reads these: the first that is set is the locale, and a list of languages counts before it.
_LOCALE_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")
_LIST_VARIABLE = "LANGUAGE"
_NO_LANGUAGE = ("", "C", "POSIX")

Command = TypeVar("Command", bound=click.Command)


class Group(click.Group):
    """A group that shows its help, and that of its commands, in the current language."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a copy of a command with its help in the current language."""
        command = super().get_command(ctx, cmd_name)
        return _translated(command) if command else None

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option that shows help. Click creates it before the language is read from the command line."""
        option = super().get_help_option(ctx)
        if option:
            option.help = said("Show this message and exit.")
        return option

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of the group in the current language."""
        super(Group, _translated(self)).format_help(ctx, formatter)


def language_of_system() -> str:
    """Return the language for whoever chooses none: by the app's variable or the locale, otherwise English."""
    locale = next(filter(None, map(os.environ.get, _LOCALE_VARIABLES)), "")
    has_language = locale.split(".")[0] not in _NO_LANGUAGE
    of_locale = [*os.environ.get(_LIST_VARIABLE, "").split(":"), locale] if has_language else []
    return best_language([os.environ.get(LANGUAGE_VARIABLE, ""), *of_locale]) or ENGLISH


def chosen_language(_context: click.Context, _option: click.Parameter, wanted: str | None) -> str | None:
    """Return the language of the app for a code on the command line, and speak it from here on.

    Raises:
        click.BadParameter: If there is no such language.
    """
    if wanted is None:
        return None
    code = best_language([wanted])
    if not code:
        raise click.BadParameter(
            _("There is no language {code}. Pick one of: {known}.").format(
                code=wanted, known=names_list(languages())
            )
        )
    _context.ensure_object(ExitStack).enter_context(spoken(code))
    return code


@contextmanager
def spoken(code: str) -> Iterator[None]:
    """Say everything in a language of the app, Click's own words too."""
    domain = f"click-{code}"
    before = gettext.textdomain(), os.environ.get(_LIST_VARIABLE)
    with speaking(code), ExitStack() as files:
        if compiled := compiled_catalogue(code):
            # On a full disk Click's own words are in English.
            with suppress(OSError):
                folder = files.enter_context(TemporaryDirectory())
                file = Path(folder, code, "LC_MESSAGES", f"{domain}.mo")
                file.parent.mkdir(parents=True)
                file.write_bytes(compiled)
                gettext.bindtextdomain(domain, folder)
        gettext.textdomain(domain)
        os.environ[_LIST_VARIABLE] = code
        try:
            yield
        finally:
            gettext.textdomain(before[0])
            os.environ.pop(_LIST_VARIABLE)
            if before[1] is not None:
                os.environ[_LIST_VARIABLE] = before[1]


def _translated(command: Command) -> Command:
    translated = copy.copy(command)
    translated.help = _said(command.help)
    # Click shortens a help text at its spaces, and Chinese has none.
    translated.short_help = _said(command.short_help or command.help)
    translated.params = list(map(_translated_parameter, command.params))
    return translated


def _translated_parameter(parameter: click.Parameter) -> click.Parameter:
    translated = copy.copy(parameter)
    translated.metavar = _said(parameter.metavar)
    if isinstance(parameter, click.Option) and isinstance(translated, click.Option):
        translated.help = _said(parameter.help)
    return translated


def _said(text: str | None) -> str | None:
    return said(text) if text else text
