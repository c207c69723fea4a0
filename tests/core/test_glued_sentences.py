"""A sentence is written as a whole: glued of pieces it is wrong where a language has another order or other signs."""

import ast
import re

import pytest

from tests.core.test_language import called, is_log, sources

SENTENCE_CALLS = {"_", "plural"}
# Drawn between texts, or marks of Markdown and HTML, in any language.
MARK = re.compile(r"<[^<>]*>|:material/\w+:|&\w+;|:\w+(?=\[)|[*`#|·\[\]]|^- ")
END = re.compile(r"[.!?:…]\W*$")
TRANSLATED, OTHER = "\1", "\0"
CHANGED_LETTERS = {"lower", "upper", "capitalize", "title", "casefold", "swapcase"}


def sentences_of(node: ast.AST | None, names: dict[str, list[str]]) -> list[str]:
    """The English of a translated text, of both branches where there are two; nothing of any other value."""
    if isinstance(node, ast.IfExp):
        return sentences_of(node.body, names) + sentences_of(node.orelse, names)
    if isinstance(node, ast.Name):
        return names.get(node.id, [])
    if not isinstance(node, ast.Call):
        return []
    if called(node) in SENTENCE_CALLS and node.args:
        return [str(getattr(node.args[0], "value", ""))]
    is_filled = isinstance(node.func, ast.Attribute) and node.func.attr == "format"
    inner = node.func.value if is_filled and isinstance(node.func, ast.Attribute) else None
    plain = node.args[0] if called(node) in {"plain", "escape"} and node.args else None
    return sentences_of(inner or plain, names)


def translated_names(function: ast.AST) -> dict[str, list[str]]:
    """The variables of a function that hold a translated text, with its English."""
    names: dict[str, list[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names.setdefault(node.targets[0].id, []).extend(sentences_of(node.value, names))
    return names


def glued(code: str) -> list[str]:
    """The expressions that put a translated text together with something else."""
    tree = ast.parse(code)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found: dict[int, str] = {}
    for scope in (tree, *functions):
        names = {} if scope is tree else translated_names(scope)
        for node in ast.walk(scope):
            if not is_log(node) and is_glued(node, names):
                found[node.lineno] = ast.unparse(node)
    return list(found.values())


def is_glued(node: ast.AST, names: dict[str, list[str]]) -> bool:
    match node:
        case ast.JoinedStr():
            return is_put_together(node.values, names)
        case ast.BinOp(op=ast.Add() | ast.Mod()):
            return is_put_together(summands(node), names)
        case ast.Call(func=ast.Attribute(value=owner, attr=method)):
            if method in CHANGED_LETTERS:
                return bool(sentences_of(owner, names))
            if method == "format":
                return isinstance(owner, ast.JoinedStr) or bool(re.search(r"[^{\w][a-z]{2,}", literal(owner)))
            return method == "join" and bool(re.search("[a-z]", literal(owner))) and "<" not in literal(owner)
        case ast.IfExp():
            return {literal(node.body), literal(node.orelse)} & {"s", "es", "ies"} != set()
    return False


def literal(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_put_together(parts: list[ast.expr], names: dict[str, list[str]]) -> bool:
    """Whether a line has more beside a translated text than marks and whole sentences."""
    lines: list[list[tuple[str, list[str]]]] = [[]]
    for part in parts:
        value = part.value if isinstance(part, ast.FormattedValue) else part
        sentences = sentences_of(value, names)
        first, *others = literal(value).split("\n")
        shown = first if isinstance(value, ast.Constant) else TRANSLATED if sentences else OTHER
        lines[-1].append((shown, sentences))
        lines += [[(other, [])] for other in others]
    return any(is_glued_line(line) for line in lines)


def is_glued_line(pieces: list[tuple[str, list[str]]]) -> bool:
    text = "".join(piece for piece, _sentences in pieces)
    bare = MARK.sub("", text)
    if TRANSLATED not in text or "<" in text:
        return False
    if re.search(r"[^\W\d_]|[.,:;!?()%]", bare):
        return True
    translated = [sentences for _piece, sentences in pieces if sentences]
    before_another = translated if re.search(rf"{TRANSLATED}\s*{OTHER}", bare) else translated[:-1]
    is_list = "·" in text or "|" in text
    return not is_list and any(not END.search(one) for sentences in before_another for one in sentences)


def summands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return summands(node.left) + summands(node.right)
    return [node]


def test_no_sentence_is_glued_of_pieces() -> None:
    found = {place: glued(code) for place, code in sources().items() if "/bundle_files/" not in place}
    assert {place: expressions for place, expressions in found.items() if expressions} == {}


@pytest.mark.parametrize(
    "code",
    [
        '_("Trained on ") + name',
        "f\"{_('accuracy')} {_('of')}\"",
        "f\"{_('Stopped')}: {reason}\"",
        "f\"{_('Ready')}. {_('Go on.')}\"",
        "f\"{number} {_('photos')} (all)\"",
        'def f():\n    words = _("Ready")\n    return f"{words}, {name}"',
        'def f():\n    words = _("Ready") if ok else _("Not yet")\n    return words + _(" now")',
        '"{count} photos".format(count=3)',
        '" and ".join(names)',
        '_("Training now").lower()',
        "f\"{count} photo{'s' if count > 1 else ''}\"",
        '"%s: %d" % (_("Accuracy"), 3) + _("photos")',
    ],
)
def test_a_planted_glued_sentence_is_found(code: str) -> None:
    assert len(glued(code)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "f\"{_('It is done.')} {_('Go on.')}\"",
        "f\"**{_('Ready')}** · {name}\"",
        "f\":material/check: {_('Ready')}\"",
        "f\"<h1>{escape(_('Ready'))}</h1>\"",
        '_("It is done.") + " " + _("Go on.")',
        '_("{count:,} of {total:,}").format(count=1, total=2)',
        '", ".join(names)',
        '_logger.info("Trained on " + name)',
    ],
)
def test_whole_sentences_and_marks_are_not_found(code: str) -> None:
    assert glued(code) == []
