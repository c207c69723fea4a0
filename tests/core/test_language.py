"""Every sentence goes through one call, which leaves English as it is."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.conftest import ROOT
from transfer_core.language import _, percent, percent_range, plural

# By the name of a translating call, how many of its arguments are sentences.
NUM_SENTENCES = {"_": 1, "N_": 1, "plural": 2}
# The first argument of these is drawn as text, and so are the named ones of every call.
DRAWN = {
    *("title", "header", "subheader", "markdown", "caption", "text", "write", "metric", "toast", "spinner"),
    *("info", "warning", "error", "success", "button", "download_button", "link_button", "expander"),
    *("checkbox", "toggle", "radio", "selectbox", "multiselect", "slider", "select_slider", "text_input"),
    *("number_input", "text_area", "file_uploader", "camera_input", "segmented_control", "pills"),
}
DRAWN_BY_NAME = {"label", "help", "placeholder", "caption"}
ICON = re.compile(r":material/\w+:")
SENTENCE = re.compile(r"[A-Za-z][a-z]+[,.:;]? [A-Za-z][a-z]+")
APP_NAME = "Transfer Studio"


@cache
def sources() -> dict[str, str]:
    """The code of the engine and of the pages by its place."""
    paths = [ROOT / "welcome.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "transfer_core").rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in sorted(paths)}


def called(node: ast.AST) -> str:
    """The name of a called function or method; nothing if the node is no call."""
    function = node.func if isinstance(node, ast.Call) else None
    return getattr(function, "id", "") or getattr(function, "attr", "")


def text_of(node: ast.AST) -> str:
    """What is written down in a string, without icons and with {} for what is filled in."""
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [part.value if isinstance(part, ast.Constant) else "{}" for part in parts]
    return "".join(ICON.sub("", text) for text in texts if isinstance(text, str))


def put_together(code: str) -> list[int]:
    """The lines of translating calls whose sentence is not written down there as a whole."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and called(node) in NUM_SENTENCES
        for sentence in node.args[: NUM_SENTENCES[called(node)]]
        if not isinstance(sentence, ast.Constant)
    ]


def untranslated(code: str) -> list[str]:
    """What a page shows in English, whatever the language."""
    found: list[str] = []

    def visit(node: ast.AST) -> None:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if called(node) in NUM_SENTENCES or is_log(node) or is_docstring:
            return
        found.extend(text for text in sentences_in(node) if APP_NAME not in text)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(code))
    return found


def is_log(node: ast.AST) -> bool:
    owner = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "_logger"


def sentences_in(node: ast.AST) -> Iterator[str]:
    """Yield a string of several words with a capital letter, and any word that is drawn."""
    if isinstance(node, ast.Constant | ast.JoinedStr):
        text = text_of(node)
        if SENTENCE.search(text) and re.search(r"[A-Z]", text) and "<" not in text:
            yield text
    if isinstance(node, ast.Call):
        drawn = [keyword.value for keyword in node.keywords if keyword.arg in DRAWN_BY_NAME]
        drawn += node.args[:1] if called(node) in DRAWN else []
        literals = [part for part in drawn if isinstance(part, ast.Constant | ast.JoinedStr)]
        yield from (text for text in map(text_of, literals) if re.search(r"[^\W\d_]{2,}", text))


def test_without_a_catalogue_a_sentence_stays_as_it_is() -> None:
    assert _("Choose a folder.") == "Choose a folder."


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (12_345, "12,345 images")]
)
def test_the_form_fits_the_count(count: int, text: str) -> None:
    assert plural("{count} image", "{count} images", count) == text


def test_a_share_is_written_with_a_space_that_no_line_breaks_at() -> None:
    assert percent(0.876) == "88\u00a0%"
    assert percent(0.876, 1) == "87.6\u00a0%"
    assert percent_range(0.74, 0.951) == "74 to 95\u00a0%"


def test_what_is_translated_is_a_whole_sentence_not_one_put_together() -> None:
    """A catalogue can only have what is written down: no f-string, no variable, no sum."""
    found = {place: len(put_together(code)) for place, code in sources().items()}
    assert {place: count for place, count in found.items() if count} == {}


def test_every_sentence_of_the_pages_is_translated() -> None:
    pages = {place: code for place, code in sources().items() if not place.startswith("transfer_core/")}
    assert len(pages) > 50
    found = {place: untranslated(code) for place, code in pages.items()}
    assert {place: texts for place, texts in found.items() if texts} == {}


@pytest.mark.parametrize(
    "code",
    [
        '_(f"{count} images.")',
        "_(sentence)",
        '_("Choose " + name)',
        'plural(f"{count} image of {name}", "{count} images", count)',
        'plural("{count} image", forms[1], count)',
        'language.plural("{count} image", forms, count)',
    ],
)
def test_a_planted_sentence_put_together_is_found(code: str) -> None:
    assert put_together(code) == [1]


@pytest.mark.parametrize(
    "code",
    [
        'st.button("Start")',
        'column.metric(f"Epochs of {name}", 3)',
        'st.toggle(_("Choose"), help="Changes it")',
        'message = "Choose a folder first."',
        'def show() -> None:\n    """Draw it."""\n    raise WorkspaceError(f"Of {name} nothing is left.")',
        'WORDS = {"a": "There is no model yet"}',
    ],
)
def test_a_planted_sentence_in_english_alone_is_found(code: str) -> None:
    assert len(untranslated(code)) >= 1


@pytest.mark.parametrize(
    "code",
    [
        'st.button(_("Start"), key="start it")',
        'st.markdown(f"**{name}**")',
        "st.html(f\"<div class='bars'>Of {name}</div>\")",
        '"""The Train page."""',
        '_logger.warning("TensorFlow could not be loaded")',
        'st.metric(plural("{count} epoch", "{count} epochs", number), help=explain("kept epoch"))',
    ],
)
def test_translated_text_code_and_names_are_not_found(code: str) -> None:
    assert untranslated(code) == []


MOST_WORDS = 15
END_OF_SENTENCE = re.compile(r"(?<=[.!?:])\s+|\n+")


def sentences_of(code: str) -> Iterator[str]:
    """Yield each sentence that is translated, but for tooltips and the help of commands, which explain more."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and called(node) in NUM_SENTENCES.keys() - {"N_"}:
            for argument in node.args[: NUM_SENTENCES[called(node)]]:
                if isinstance(argument, ast.Constant):
                    yield from END_OF_SENTENCE.split(argument.value)


def test_no_sentence_on_screen_has_more_words_than_one_reads_at_a_glance() -> None:
    long = {
        f"{place}: {sentence}"
        for place, code in sources().items()
        for sentence in sentences_of(code)
        if len(sentence.split()) > MOST_WORDS
    }
    assert long == set()


def test_a_share_is_never_shown_without_the_space() -> None:
    """Every share goes through `percent`, so that 88 % is written one way on all pages."""
    # The widths of bars are for the browser, not for people.
    bare = re.compile(r"(?<!width:)\{[^{}]*:\.\d%\}")
    found = {place: bare.findall(code) for place, code in sources().items()}
    assert {place: texts for place, texts in found.items() if texts} == {}
