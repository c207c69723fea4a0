"""Every text that a page in memory shows to a person, and what of it is English while it speaks the pseudo-language."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pyarrow as pa
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest

# Fields of Streamlit's messages, and keys in the data of charts and of our components, whose values nobody reads.
NOT_SHOWN = {
    *(
        "id",
        "key",
        "form_id",
        "url",
        "icon",
        "element_id",
        "page",
        "page_name",
        "page_script_hash",
        "group_id",
    ),
    *(
        "query_string",
        "query_params",
        "component_name",
        "js_content",
        "css_content",
        "html_content",
        "data_id",
    ),
    *("deferred_file_id", "language", "raw_value", "datasets", "type_config", "width", "table_endings"),
    *("source", "photo", "address", "control", "chosen", "mode", "modes.name", "kind", "type", "trigger"),
    *(
        "symbol",
        "color",
        "theme",
        "nameLocation",
        "animationEasing",
        "formatter",
        "position",
        "align",
        "encode",
    ),
    *("fontFamily", "backgroundColor", "dash", "shape", "hoverinfo", "rangemode", "autorange", "traceorder"),
    *("xanchor", "yanchor", "barmode", "textposition", "insidetextanchor", "template"),
}
ATTRIBUTE = re.compile(r"""\b(?:alt|title|placeholder|aria-label)=(?:"([^"]*)"|'([^']*)')""")
# Code, tags, addresses, icons and colours.
NOT_WORDS = re.compile(
    r"<(style|script|svg)\b.*?</\1>|<span class=\"[\w-]*icon[^>]*>\w+</span>|<[^<>]*>|```.*?```|`[^`]*`|https?://\S+|data:\S+|:material/\w+:|:[a-z-]+(?=\[)"
    r"|\]\([^)]*\)|&\w+;|%?\{[^{}]*\}",
    re.DOTALL,
)
WORD = re.compile(r"[A-Za-z]{2,}")


def shown_texts(page: AppTest) -> Iterator[tuple[str, str]]:
    """Yield the place and the text of each label, value, help, option, header and word that is drawn."""
    for node in page._tree:
        proto = getattr(node, "proto", None)
        if isinstance(proto, Message):
            yield from _in_message(proto, node.type)


def english_left(page: AppTest, allowed: re.Pattern[str]) -> list[str]:
    """Return each text on a page that has a word of plain letters, without the allowed ones."""
    found = []
    for place, text in shown_texts(page):
        attributes = " ".join("".join(pair) for pair in ATTRIBUTE.findall(text))
        words = unescape(NOT_WORDS.sub(" ", f"{text} {attributes}")).replace("\\", "")
        if WORD.search(allowed.sub(" ", words)):
            found.append(f"{place}: {text[:300]}")
    return found


def _in_message(proto: Message, place: str) -> Iterator[tuple[str, str]]:
    for field, value in proto.ListFields():
        if field.name in NOT_SHOWN:
            continue
        values: Any = value if field.is_repeated else [value]
        if field.type == FieldDescriptor.TYPE_STRING:
            for text in values:
                yield from _in_string(text, f"{place}.{field.name}")
        elif field.type == FieldDescriptor.TYPE_BYTES:
            yield from ((f"{place}.{field.name}", text) for text in _in_table(value))
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            is_map = field.message_type.GetOptions().map_entry
            for inner in value.values() if is_map else values:
                if isinstance(inner, Message):
                    yield from _in_message(inner, f"{place}.{field.name}")


def _in_string(text: str, place: str) -> Iterator[tuple[str, str]]:
    try:
        value = json.loads(text) if text[:1] in ("{", "[") else text
    except ValueError:
        value = text
    yield from _in_json(value, place)


def _in_json(value: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, list):
        for inner in value:
            yield from _in_json(inner, place)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if not NOT_SHOWN & {name, f"{place.rpartition('.')[2]}.{name}"}:
                yield from _in_json(inner, f"{place}.{name}")


def _in_table(content: bytes) -> Iterator[str]:
    """Yield headers and cells of a table as Arrow sends it; nothing of other bytes."""
    try:
        table = pa.ipc.open_stream(content).read_all()
    except pa.ArrowInvalid:
        return
    for column in table.columns:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            yield from (text for text in column.to_pylist() if text)
