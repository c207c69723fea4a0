"""The command line in the person's language: what it says, its help, and Click's own words."""

from __future__ import annotations

import gettext
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from babel.messages.extract import extract_from_dir

from tests.core.conftest import UseCatalogues
from tools.command_sentences import CLICK_SENTENCES
from tools.languages import extract
from transfer_core.cli.chosen_language import language_of_system
from transfer_core.cli.main import cli, main
from transfer_core.language import LANGUAGE_VARIABLE, language

GERMAN = {
    "List the runs, newest first.": "Listet die Trainings auf, neueste zuerst.",
    "Print one JSON object.": "Gibt ein JSON-Objekt aus.",
    "RUN": "TRAINING",
    "Save images, the runs on them and their settings as one file.": "Speichert alles in einer Datei.",
    "Teach a pretrained network your own classes, from the command line.": "Bringt einem Netz Klassen bei.",
    "The run {id} does not exist any more.": "Das Training {id} gibt es nicht mehr.",
    "Error: {message}": "Fehler: {message}",
    "Usage:": "Aufruf:",
    "Options": "Optionen",
    "Missing argument": "Es fehlt",
    "Show this message and exit.": "Zeigt diese Hilfe.",
}
CHINESE = {"List the runs, newest first.": 80 * "字"}
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def catalogues(use_catalogues: UseCatalogues, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few German sentences, a long Chinese one and no French ones, in a system without a language."""
    use_catalogues(de=GERMAN, fr={}, zh_CN=CHINESE)
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(
    catalogues: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    monkeypatch.setenv("TRANSFER_STUDIO_WORKSPACE", str(tmp_path / "workspace"))

    def run_command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["transfer_core", *arguments])
        return main(), *capfd.readouterr()

    return run_command


def test_help_is_in_the_chosen_language(run: Run) -> None:
    code, out, _err = run("--language", "de", "--help")
    assert code == 0 and "Aufruf: python" in out and "Bringt einem Netz Klassen bei." in out
    assert "Listet die Trainings auf" in out and "Zeigt diese Hilfe." in out
    code, out, _err = run("--language", "de", "runs", "--help")
    assert code == 0 and "Gibt ein JSON-Objekt aus." in out and "Optionen:" in out
    assert "Zeigt diese Hilfe." in out
    code, out, _err = run("--language", "de", "project", "save", "--help")
    assert code == 0 and "Speichert alles in einer Datei." in out


def test_help_is_in_the_language_of_the_system(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_CH.UTF-8")
    assert "Listet die Trainings auf" in run("--help")[1]
    assert "List the runs" in run("--language", "en", "--help")[1]


def test_a_list_of_commands_shows_whole_sentences_in_a_language_without_spaces(run: Run) -> None:
    assert run("--language", "zh", "--help")[1].count("字") == len(CHINESE["List the runs, newest first."])


def test_the_next_command_of_the_process_is_in_its_own_language(run: Run) -> None:
    before = gettext.textdomain(), language(), os.environ.get("LANGUAGE")
    run("--language", "de", "runs", "--help")
    _code, out, _err = run("runs", "--help")
    assert "Usage: python" in out and "List the runs, newest first." in out
    assert (gettext.textdomain(), language(), os.environ.get("LANGUAGE")) == before


def test_an_error_is_in_the_chosen_language(run: Run) -> None:
    code, _out, err = run("--language", "de", "predict")
    assert (code, err) == (2, "Fehler: Es fehlt 'TRAINING'.\n")
    run_id = "20260101-000000-0123456789abcdef"
    code, _out, err = run("--language", "de", "stop", run_id)
    assert (code, err) == (1, f"Fehler: Das Training {run_id} gibt es nicht mehr.\n")


def test_json_has_the_same_keys_in_every_language(run: Run) -> None:
    results = [json.loads(run("--language", code, "backbones", "--json")[1]) for code in ("en", "de")]
    assert results[0]["backbones"][0].keys() == results[1]["backbones"][0].keys()
    assert [one["name"] for one in results[0]["backbones"]] == [
        one["name"] for one in results[1]["backbones"]
    ]


def test_an_unknown_language_is_refused(run: Run) -> None:
    code, _out, err = run("--language", "klingon", "runs")
    assert code == 2 and "There is no language klingon. Pick one of: en, de, fr, zh_CN." in err


@pytest.mark.parametrize(
    ("environment", "spoken"),
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "fr_FR.UTF-8", "LC_ALL": "POSIX"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LANGUAGE": "nl:fr"}, "fr"),
        ({"LANG": "C", "LANGUAGE": "de"}, "en"),
        ({"LANG": "it_IT.UTF-8"}, "en"),
        ({"LANG": "fr_FR.UTF-8", LANGUAGE_VARIABLE: "de"}, "de"),
        ({"LANG": "fr_FR.UTF-8", LANGUAGE_VARIABLE: "en"}, "en"),
    ],
    ids=str,
)
def test_without_a_choice_the_system_decides(
    catalogues: None, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], spoken: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language_of_system() == spoken


def commands_in(group: click.Group) -> Iterator[click.Command]:
    for command in group.commands.values():
        yield command
        if isinstance(command, click.Group):
            yield from commands_in(command)


def test_every_help_text_is_extracted_for_the_catalogues() -> None:
    found = {message.id for message in extract()}
    shown = [
        text
        for command in (cli, *commands_in(cli))
        for text in (
            command.help,
            command.short_help,
            *(parameter.metavar for parameter in command.params),
            *(parameter.help for parameter in command.params if isinstance(parameter, click.Option)),
        )
        if text
    ]
    assert len(shown) > 150
    assert {*shown, *CLICK_SENTENCES} - found == set()


def test_the_words_of_click_are_those_that_click_looks_up() -> None:
    folder, keywords = Path(click.__file__).parent, {"_": None, "ngettext": (1, 2)}
    found = {text for *_place, text, _, _ in extract_from_dir(folder, [("**.py", "python")], keywords)}
    # Its word for an option that must be given is looked up by a variable.
    assert set(CLICK_SENTENCES) - found == {"required"}
