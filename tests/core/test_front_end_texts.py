"""Scripts, documents and style sheets hold no words of their own: they get them in the language of the visitor."""

import re

import pytest

from tests.conftest import ROOT

FOLDERS = ("pages", "transfer_core/export/bundle_files")
COMMENT = re.compile(r"/\*.*?\*/|(?<![:\"'])//[^\n]*|<!--.*?-->", re.DOTALL)
LITERAL = re.compile(r"'((?:[^'\\\n]|\\.)*)'|\"((?:[^\"\\\n]|\\.)*)\"|`((?:[^`\\]|\\.)*)`")
SENTENCE = re.compile(r"^[A-Z][a-z]+,? [a-z]+|[a-z]{2,} [a-z]+[.?!…]$")
DRAWN = re.compile(
    r"(?:textContent|innerText|title|placeholder|alt|ariaLabel)\s*=\s*['\"`]([^'\"`]*[A-Za-z]{2}[^'\"`]*)['\"`]"
)
ATTRIBUTE = re.compile(r"(?:aria-label|title|alt|placeholder)=[\"']([^\"']*)[\"']")
WORD = re.compile(r"(?<![{\w])[A-Za-z]{2,}")
# The font of icons draws its names as pictures.
ICON = re.compile(
    r"<(\w+)[^>]*class=\"[^\"]*icon[^\"]*\"[^>]*>\w+</\1>|\b[a-z]+(?:_[a-z]+)+\b|\{\{\w+\}\}|\bTransfer Studio\b"
)


def words_in_script(code: str) -> list[str]:
    code = COMMENT.sub("", code)
    literals = ["".join(found) for found in LITERAL.findall(code)]
    sentences = [text for text in literals if SENTENCE.search(re.sub(r"\$\{[^}]*\}", "x", text))]
    return sentences + [text for text in DRAWN.findall(code) if not text.startswith("${")]


def words_in_document(code: str) -> list[str]:
    code = ICON.sub("", COMMENT.sub("", re.sub(r"<(script|style)\b.*?</\1>", "", code, flags=re.DOTALL)))
    texts = [*re.findall(r">([^<>]+)<", code), *ATTRIBUTE.findall(code)]
    return [text.strip() for text in texts if WORD.search(text)]


def words_in_style(code: str) -> list[str]:
    return [
        text
        for text in re.findall(r"content:\s*[\"']([^\"']*)[\"']", code)
        if re.search("[A-Z]| [a-z]", text)
    ]


FINDERS = {".js": words_in_script, ".html": words_in_document, ".css": words_in_style}


def test_nothing_that_a_browser_gets_has_words_of_its_own() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in FINDERS]
    assert len(paths) > 50
    found = {
        path.relative_to(ROOT).as_posix(): FINDERS[path.suffix](path.read_text("utf-8")) for path in paths
    }
    assert {place: texts for place, texts in found.items() if texts} == {}


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (".js", "button.textContent = 'Stop';"),
        (".js", "say(`Photo ${number} of ${total} is here.`);"),
        (".js", 'throw new Error("Choose a photo first");'),
        (".html", "<button>Take a photo</button>"),
        (".html", '<img src="a.png" alt="A photo">'),
        (".css", '.a::after { content: "No photos"; }'),
    ],
)
def test_a_planted_word_is_found(ending: str, code: str) -> None:
    assert len(FINDERS[ending](code)) >= 1


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (".js", "button.textContent = words.stop; // Take a photo"),
        (".js", "root.querySelector('.modes legend').className = 'cell frozen';"),
        (".html", '<span class="icon">photo_camera</span><p>{{TITLE}}</p>'),
        (".css", '.a::after { content: "videocam"; }'),
    ],
)
def test_names_of_code_and_icons_are_not_found(ending: str, code: str) -> None:
    assert FINDERS[ending](code) == []
