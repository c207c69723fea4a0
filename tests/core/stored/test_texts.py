"""Texts for people in files: finished in English, as version 0.1 wrote them, and as recipes."""

from __future__ import annotations

import json

import pytest

from transfer_core.data.records import LeftOut
from transfer_core.events import RunEnded, event_from_dict, event_to_dict
from transfer_core.language import said
from transfer_core.schema import decoded

ENDS = {
    '{"event": "RunEnded", "time": 1.0, "outcome": "failed", "message": "3 photos are missing.", "best_epoch": 0}': (
        "3 photos are missing."
    ),
    '{"event": "RunEnded", "time": 1.0, "outcome": "finished", "message": "", "best_epoch": 2, "accuracy": 0.5}': "",
    '{"event": "RunEnded", "time": 1.0, "outcome": "failed", "message": {"kind": "sentence", "text": '
    '"{reason} On the disk of {node}, {free} are free.", "values": {"reason": {"kind": "sentence", "text": '
    '"The disk is full."}, "node": "lab-1", "free": {"kind": "sentence", "text": "{count} GB", "values": '
    '{"count": {"kind": "number", "value": 1.5, "digits": 1}}}}}, "best_epoch": 0, "accuracy": null}': (
        "The disk is full. On the disk of lab-1, 1.5 GB are free."
    ),
    '{"event": "RunEnded", "time": 1.0, "outcome": "failed", "message": {"kind": "joined", "parts": ["One.", '
    '{"kind": "sentence", "text": "{count} photo", "plural": "{count} photos", "count": 2, "values": '
    '{"count": {"kind": "number", "value": 2}}}], "style": "sentences"}, "best_epoch": 0, "accuracy": null}': (
        "One. 2 photos"
    ),
}
LEFT_OUT = {
    '{"name": "cat/a.txt", "reason": "it is not a photo", "kind": "not_an_image"}': "it is not a photo",
    '{"name": "cat/a.jpg", "reason": {"kind": "sentence", "text": "the file is larger than {limit} MB", "values": '
    '{"limit": 50}}, "kind": "too_large", "image_id": "", "class_name": ""}': "the file is larger than 50 MB",
}


@pytest.mark.parametrize(("line", "text"), ENDS.items())
def test_the_end_of_a_run_is_shown_and_written_as_it_was(line: str, text: str) -> None:
    event = event_from_dict(json.loads(line))
    assert isinstance(event, RunEnded)
    assert said(event.message) == text
    assert json.loads(json.dumps(event_to_dict(event))) == {"accuracy": None, **json.loads(line)}


@pytest.mark.parametrize(("line", "text"), LEFT_OUT.items())
def test_the_reason_of_a_file_that_was_left_out_is_shown(line: str, text: str) -> None:
    assert said(decoded(json.loads(line), LeftOut).reason) == text
