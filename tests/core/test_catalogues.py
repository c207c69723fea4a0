"""The catalogues: complete, with the placeholders and marks of the English, and the tool that updates them."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.plurals import get_plural
from click.testing import CliRunner

import tools.languages
from tools.languages import (
    extract,
    main,
    marks,
    placeholders,
    problems_in,
    read,
    updated,
    write_pseudo,
    written,
)
from tools.pseudo_language import PSEUDO, pseudo
from transfer_core.language import _, language, plural, speaking
from transfer_core.recipes import LOCALE_VARIABLE, catalogue_folder

CATALOGUES = sorted(catalogue_folder().glob("*.po"))
# The words of the articles that learners read beside the app.
CHINESE_TERMS = {
    "transfer learning": "迁移学习",
    "pretrained model": "预训练模型",
    "frozen": "冻结",
    "fine-tuning": "微调",
    "feature extraction": "特征提取",
    "learning rate": "学习率",
    "overfitting": "过拟合",
    "confusion matrix": "混淆矩阵",
}
# How a placeholder may be written; Babel writes its number. Click fills its own sentences, some with a repr.
PLACEHOLDER = re.compile(r"{\w+(:\+?,?(\.\d+f)?|!r)?}")
# For the browser: Plotly writes these.
PLOTLY = re.compile(r"%{[^{}]*}")
MOST_WORDS = 15
END_OF_SENTENCE = re.compile(r"(?<=[.!?…:])\s+")


@pytest.fixture(scope="module")
def template() -> Catalog:
    return extract()


@pytest.fixture
def folder(tmp_path: Path, template: Catalog, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of catalogues in place of the app's own; the code is read once for all tests."""
    monkeypatch.setenv(LOCALE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(tools.languages, "extract", lambda: template)
    return tmp_path


@pytest.fixture
def pseudo_file(folder: Path) -> Path:
    """A complete catalogue."""
    write_pseudo(folder)
    return folder / f"{PSEUDO}.po"


def run_tool(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def test_there_are_five_catalogues() -> None:
    assert [path.stem for path in CATALOGUES] == ["de", "es", "fr", "pt_BR", "zh_CN"]


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_catalogue_has_every_sentence_as_the_code_has_it(path: Path, template: Catalog) -> None:
    problems = list(problems_in(path, template))
    assert not problems, "\n".join(problems[:40])


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_a_catalogue_names_nobody_and_no_time(path: Path) -> None:
    header = path.read_text("utf-8").split("\n\n")[0]
    num_forms, rule = get_plural(path.stem)
    assert f'"Plural-Forms: nplurals={num_forms}; plural={rule};\\n"' in header
    assert not re.search(r"@|\d{4}-\d\d|^#", header, re.MULTILINE)


def test_the_chinese_catalogue_has_the_terms_of_the_field() -> None:
    words = "".join(str(message.string) for message in read(catalogue_folder() / "zh_CN.po"))
    assert [term for term, chinese in CHINESE_TERMS.items() if chinese not in words] == []


def test_the_tool_finds_sentences_wherever_they_stand(template: Catalog) -> None:
    """Within another call, an f-string, over several lines, or marked for later."""
    known = {message.id for message in template}
    for sentence in ("Teacher", "Yours starts by itself.", "{lowest} to {highest}", "Feature extraction"):
        assert sentence in known
    assert ("{count} training goes first.", "{count} trainings go first.") in known


def test_placeholders_have_formats_that_every_language_can_write(template: Catalog) -> None:
    sentences = [
        text for message in template for text in (message.id if message.pluralizable else [message.id])
    ]
    odd = {text: PLACEHOLDER.sub("", PLOTLY.sub("", text)) for text in sentences}
    assert [text for text, rest in odd.items() if re.search("[{}]", rest)] == []


def test_an_update_without_new_sentences_changes_nothing(pseudo_file: Path, template: Catalog) -> None:
    before = pseudo_file.read_bytes()
    assert run_tool() == (0, f"{pseudo_file.name}: {len(template)} sentences, 0 to do\n")
    assert pseudo_file.read_bytes() == before
    assert run_tool("--check")[0] == 0


@pytest.mark.parametrize(
    ("english", "wrong", "problem"),
    [
        ("Projects", "", "missing: Projects"),
        ("{name} ({class_name})", "{name} ({klasse})", "other placeholders: {name} ({class_name})"),
        ("{count:,} photos", "{count} photos", "other placeholders: {count:,} photos"),
        ("**{count} photo**", "{count} photo", "other marks"),
    ],
)
def test_what_is_wrong_with_a_translation_is_found(
    english: str, wrong: str, problem: str, tmp_path: Path
) -> None:
    template, catalogue = Catalog(), Catalog(locale="de")
    template.add(english)
    catalogue.add(english, wrong)
    path = tmp_path / "de.po"
    path.write_bytes(written(catalogue))
    assert [found[: len(problem)] for found in problems_in(path, template)] == [problem]


def test_a_fuzzy_an_old_and_an_incomplete_sentence_are_found(tmp_path: Path) -> None:
    template, catalogue = Catalog(), Catalog(locale="de")
    template.add("Stop")
    template.add(("{count} photo", "{count} photos"))
    catalogue.add("Stop", "Halt", flags=["fuzzy"])
    catalogue.add("Start", "Los")
    catalogue.add(("{count} photo", "{count} photos"), ("{count} Foto", ""))
    path = tmp_path / "de.po"
    path.write_bytes(written(catalogue) + b'#~ msgid "Gone"\n#~ msgstr "Weg"\n')
    problems = list(problems_in(path, template))
    assert problems[:-1] == [
        "not in the code: Start",
        "not in the code: Gone",
        "fuzzy: Stop",
        "missing: {count} photo",
    ]
    assert "python -m tools.languages" in problems[-1]


def test_bold_that_markdown_does_not_see_is_found() -> None:
    """Before a letter, stars behind Chinese punctuation end nothing."""
    english = marks("**Your photos.** They are new.")
    assert marks("**你的照片**。它们是新的。") == english
    assert marks("**你的照片。**它们是新的。") != english


@pytest.mark.parametrize(
    ("english", "wrong"),
    [
        (":material/delete: Deleted.", "Gelöscht."),
        ("Run `start.py`.", "Starte `Start.py`."),
        ("[Open]({address})", "[Öffne] ({address})"),
        ("<b>Open</b>", "<b>Öffne<b>"),
        ("- one\n- two", "- eins"),
    ],
)
def test_other_marks_are_seen(english: str, wrong: str) -> None:
    assert marks(english) != marks(wrong)


def test_a_brace_too_many_is_no_placeholder_of_the_english() -> None:
    assert placeholders("{count:,} of {name}") == {"{count:,}", "{name}"}
    assert placeholders("{name}}") != placeholders("{name}") != placeholders("{name")


def test_a_language_is_added_with_its_plural_forms(folder: Path) -> None:
    code, output = run_tool("--add", "pl")
    assert code == 0 and "pl.po" in output
    text = (folder / "pl.po").read_text("utf-8")
    assert '"Language: pl\\n"' in text and "msgstr[2]" in text
    assert run_tool("--check")[0] == 1
    assert run_tool("--add", "pl")[0] == 2
    assert run_tool("--add", "zz")[0] == 2


def test_an_updated_catalogue_keeps_what_is_translated() -> None:
    template, catalogue = Catalog(), Catalog(locale="de")
    template.add("Stop", locations=[("pages/b.py", 0)])
    template.add("Start", locations=[("pages/a.py", 0)])
    catalogue.add("Stop", "Halt")
    catalogue.add("Gone", "Weg")
    text = written(updated(catalogue, template)).decode()
    assert "Weg" not in text and text.index('"Start"') < text.index('"Halt"')


@pytest.mark.parametrize(
    ("english", "longer"),
    [
        ("{count:,} photos", "⟦{count:,} þĥööţöš⟧"),
        (":material/delete: **Open**", "⟦:material/delete: **Ööþéñ**⟧"),
        ("Run `start.py --class`.", "⟦Ŕûûñ `start.py --class`.⟧"),
        ("[See]({address})", "⟦[Šéé]({address})⟧"),
        ("- <b>one</b>\n- two", "- ⟦<b>ööñé</b>⟧\n- ⟦ţŵöö⟧"),
    ],
)
def test_the_pseudo_language_keeps_what_is_for_the_machine(english: str, longer: str) -> None:
    found = pseudo(english)
    assert placeholders(found) == placeholders(english) and marks(found) == marks(english)
    assert re.sub(r"(.)\1+", r"\1", found) == re.sub(r"(.)\1+", r"\1", longer)


def test_the_pseudo_language_is_two_fifths_longer(template: Catalog) -> None:
    sentences = [message.id for message in template if isinstance(message.id, str)]
    length, longer = sum(map(len, sentences)), sum(len(pseudo(text)) for text in sentences)
    assert 1.3 * length < longer < 1.5 * length


def test_the_app_speaks_the_pseudo_language(pseudo_file: Path) -> None:
    with speaking(PSEUDO):
        assert language() == PSEUDO
        assert str(_("Projects")) == pseudo("Projects")
        assert str(plural("{count} photo", "{count} photos", 2)) == pseudo("{count} photos").format(count=2)


def num_words(sentence: str) -> int:
    return sum(1 for word in sentence.split() if any(letter.isalnum() for letter in word))


def test_english_sentences_are_short(template: Catalog) -> None:
    keys = [message.id for message in template if message.id]
    texts = [text for key in keys for text in ([key] if isinstance(key, str) else key)]
    sentences = [sentence for text in texts for sentence in END_OF_SENTENCE.split(text)]
    assert not [sentence for sentence in sentences if num_words(sentence) > MOST_WORDS]
