"""The sentences of the command line that stand in no call of gettext: help texts, and the words of Click itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator

# What Click says to a person who uses these commands. Click looks them up in the catalogue by itself.
CLICK_SENTENCES: tuple[str | tuple[str, str], ...] = (
    "Usage:",
    "Options",
    "Commands",
    "Show this message and exit.",
    "default: {default}",
    "required",
    "Missing command.",
    "Missing argument",
    "Missing option",
    "Choose from:\n\t{choices}",
    "No such command {name!r}.",
    "No such option {name!r}.",
    "Option {name!r} does not take a value.",
    "Argument {name!r} takes {nargs} values.",
    "Invalid value for {param_hint}: {message}",
    "{value!r} is not a valid {number_type}.",
    "{value} is not in the range {range}.",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a file.",
    "{name} {filename!r} is a directory.",
    "{name} {filename!r} is not readable.",
    ("Did you mean {possibility}?", "(Did you mean one of: {possibilities}?)"),
    ("Got unexpected extra argument ({args})", "Got unexpected extra arguments ({args})"),
    ("Option {name!r} requires an argument.", "Option {name!r} requires {nargs} arguments."),
    ("{value!r} is not {choice}.", "{value!r} is not one of {choices}."),
)
_COMMANDS = {"command", "group"}
_SHOWN = {"help", "short_help", "metavar"}


def help_texts(code: str) -> Iterator[str]:
    """Yield what Click shows of the commands in a module: their docstrings, and the help of their options.

    Args:
        code: Of a module of the command line.
    """
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef) and _COMMANDS & set(map(_called, node.decorator_list)):
            yield ast.get_docstring(node) or ""
        if isinstance(node, ast.Call) and _called(node) in {*_COMMANDS, "option", "argument"}:
            for keyword in node.keywords:
                if keyword.arg in _SHOWN and isinstance(keyword.value, ast.Constant):
                    yield str(keyword.value.value)


def _called(node: ast.AST) -> str:
    function = node.func if isinstance(node, ast.Call) else None
    return function.attr if isinstance(function, ast.Attribute) else ""
