"""What is stored, raised or sent is said in the language of whoever looks, and a stranger's file does no harm."""

from __future__ import annotations

import errno
import io
import json
import logging
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from tests.conftest import write_catalogue
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import (
    DamagedPhotosError,
    TrainingError,
    TransferStudioError,
    UnreadableImageError,
    WorkspaceError,
)
from transfer_core.events import RunEnded, TrainingEvent, event_from_dict, event_to_dict
from transfer_core.language import (
    LANGUAGE_VARIABLE,
    _,
    default_language,
    languages,
    log_in_english,
    names_list,
    number,
    percent,
    plural,
    said,
    sentences,
    speaking,
    stored,
)
from transfer_core.projects.texts import parse_text
from transfer_core.recipes import (
    LOCALE_VARIABLE,
    MOST_LETTERS,
    Joined,
    Number,
    Sentence,
    StoredText,
    compiled_catalogue,
    with_changed_values,
    written,
)
from transfer_core.runs.erasing import erased_event
from transfer_core.runs.event_log import EventLog, followed_snapshot, last_outcome
from transfer_core.schema import decoded
from transfer_core.work.cluster.messages import (
    ClusterProblem,
    JobFailed,
    NodesChanged,
    decode_from_driver,
    encode,
)
from transfer_core.work.cluster.nodes import Node, joined_by_computer
from transfer_core.work.execute import ended_by
from transfer_core.work.executor import _reply
from transfer_core.work.worker import Channel
from transfer_core.workspace import Workspace

GERMAN = {
    "The disk is full.": "Die Platte ist voll.",
    "{file} could not be saved: {reason}.": "{file} wurde nicht gespeichert: {reason}.",
    ("{count} photo of {total:,}", "{count} photos of {total:,}"): (
        "{count} Foto von {total:,}",
        "{count} Fotos von {total:,}",
    ),
    "{size:.1f} MB": "{size:.1f} MB",
    "No space left on device": "Kein Platz auf dem Gerät",
}
CHINESE = {"The disk is full.": "磁盘已满。"}


@pytest.fixture(autouse=True)
def catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LANGUAGE_VARIABLE, raising=False)
    monkeypatch.setenv(LOCALE_VARIABLE, str(tmp_path))
    write_catalogue(tmp_path, "de", GERMAN)
    write_catalogue(tmp_path, "zh_CN", CHINESE)


def in_german(text: object) -> str:
    with speaking("de"):
        return str(text)


def there_and_back(text: str) -> StoredText:
    """A text as it comes out of a file."""
    content = json.dumps({"text": msgspec.to_builtins(stored(text))})
    return decoded(json.loads(content), _Holder).text


class _Holder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: StoredText


class TestSaidLater:
    def test_an_error_is_said_in_the_language_of_whoever_looks(self) -> None:
        error = TrainingError(_("The disk is full."))
        assert str(error) == "The disk is full."
        assert in_german(error) == "Die Platte ist voll."
        assert str(error) == "The disk is full."

    def test_so_is_one_raised_in_another_language(self) -> None:
        with speaking("de"):
            error = TrainingError(_("The disk is full."))
        assert str(error) == f"{error}" == "The disk is full."

    @pytest.mark.parametrize("kind", [TransferStudioError, UnreadableImageError, DamagedPhotosError])
    def test_a_pickled_error_keeps_its_recipe(self, kind: type[TransferStudioError]) -> None:
        if kind is DamagedPhotosError:
            error: TransferStudioError = DamagedPhotosError(_("The disk is full."), frozenset({"a"}))
        else:
            error = kind(_("The disk is full."))
        again = pickle.loads(pickle.dumps(error))
        assert in_german(again) == "Die Platte ist voll."
        assert vars(again) == vars(error)

    def test_a_reason_within_a_sentence_is_translated_too(self) -> None:
        reason = TrainingError(_("The disk is full."))
        text = there_and_back(_("{file} could not be saved: {reason}.").format(file="a.json", reason=reason))
        assert said(text) == "a.json could not be saved: The disk is full.."
        assert in_german(said(text)) == "a.json wurde nicht gespeichert: Die Platte ist voll.."

    def test_the_reason_of_the_system_is_translated_where_it_is_known(self) -> None:
        error = OSError(errno.ENOSPC, "No space left on device", "/somewhere/else")
        text = _("{file} could not be saved: {reason}.").format(file="a", reason=error)
        assert text == "a could not be saved: No space left on device."
        assert in_german(text) == "a wurde nicht gespeichert: Kein Platz auf dem Gerät."

    def test_an_error_of_a_library_is_one_line_and_not_a_page(self) -> None:
        text = _("{reason}").format(reason=ValueError("bad\n  value " + "x" * 1000))
        assert text.startswith("bad value x") and len(text) == 300

    def test_the_form_fits_the_count(self) -> None:
        texts = [
            there_and_back(plural(*next(k for k in GERMAN if isinstance(k, tuple)), count, total=12_345))
            for count in (1, 1234)
        ]
        assert [said(text) for text in texts] == ["1 photo of 12,345", "1,234 photos of 12,345"]
        assert [in_german(said(text)) for text in texts] == ["1 Foto von 12.345", "1.234 Fotos von 12.345"]

    @pytest.mark.parametrize(
        ("value", "english", "german"),
        [
            (1234.56, "1,234.6 MB", "1.234,6 MB"),
            (np.float32(0.25), "0.2 MB", "0,2 MB"),
            (np.float64(0.25), "0.2 MB", "0,2 MB"),
            (np.int64(3), "3.0 MB", "3,0 MB"),
            ("many", "many MB", "many MB"),
            (None, "None MB", "None MB"),
            (True, "True MB", "True MB"),
            (10**30, f"{10**30} MB", f"{10**30} MB"),
            (float("inf"), "inf MB", "inf MB"),
            (float("nan"), "nan MB", "nan MB"),
        ],
    )
    def test_a_number_is_written_as_in_the_language(self, value: object, english: str, german: str) -> None:
        text = there_and_back(_("{size:,.1f} MB").format(size=value))
        assert said(text) == english
        assert in_german(said(text)) == german

    @pytest.mark.parametrize(
        "text",
        [
            number(np.int64(3)),
            number(np.float32(0.5), 1),
            percent(np.float64(0.5)),
            plural("{count} photo", "{count} photos", np.int64(3)),
        ],
    )
    def test_a_number_of_numpy_can_be_stored(self, text: str) -> None:
        assert said(there_and_back(text)) == text

    def test_no_number_leaves_the_bounds_of_json(self) -> None:
        values = {"a": float("nan"), "b": np.float32("inf"), "c": 10**30}
        text = stored(_("{a} {b} {c}").format(**values))
        assert json.loads(json.dumps(msgspec.to_builtins(text), allow_nan=False))
        assert said(text) == f"nan inf {10**30}"

    def test_numbers_and_shares_alone_are_written_again(self) -> None:
        assert in_german(said(there_and_back(number(1234.5, 1)))) == "1.234,5"
        assert in_german(said(there_and_back(percent(0.125, 1)))) == "12,5\u00a0%"

    def test_a_sentence_without_values_is_stored_as_its_english(self) -> None:
        with speaking("de"):
            text = stored(_("The disk is full."))
        assert text == "The disk is full." and type(text) is str
        assert stored("as it came") == "as it came"
        assert in_german(said(text)) == "Die Platte ist voll."

    def test_a_finished_sentence_of_an_earlier_version_is_shown(self) -> None:
        old = decoded({"text": "The disk of Anna {is} full."}, _Holder).text
        assert said(old) == in_german(said(old)) == "The disk of Anna {is} full."
        assert said("") == ""

    def test_what_was_said_already_can_be_said_again(self) -> None:
        text = _("{size:,.1f} MB").format(size=1.5)
        assert in_german(said(text)) == "1,5 MB"

    def test_lists_have_the_commas_and_the_last_word_of_the_language(self) -> None:
        names = names_list(["a", "b", "c"])
        with_and = names_list(["a", "b", "c"], has_and=True)
        assert (names, with_and) == ("a, b, c", "a, b and c")
        assert (in_german(names), in_german(with_and)) == ("a, b, c", "a, b und c")
        with speaking("zh_CN"):
            assert (str(names), str(with_and)) == ("a、b、c", "a、b和c")
        assert names_list([]) == names_list([], has_and=True) == ""

    def test_a_list_that_is_too_long_for_a_file_is_cut(self) -> None:
        text = said(there_and_back(names_list(range(2000))))
        assert text.startswith("0, 1, 2, ") and text.endswith(", 998, …")

    def test_a_list_ends_after_as_many_names_as_wanted(self) -> None:
        assert names_list("abc", most=2) == "a, b, …"
        assert names_list("ab", most=2) == "a, b"

    def test_sentences_in_a_row_are_each_translated(self) -> None:
        text = there_and_back(sentences(_("The disk is full."), "", "As it came."))
        assert said(text) == "The disk is full. As it came."
        assert in_german(said(text)) == "Die Platte ist voll. As it came."
        with speaking("zh_CN"):
            assert said(text) == "磁盘已满。As it came."

    def test_only_values_can_be_replaced(self) -> None:
        text = there_and_back(
            sentences(
                _("{file} could not be saved: {reason}.").format(file="file.jpg", reason=_("file")), "file"
            )
        )
        changed = with_changed_values(text, lambda value: value.replace("file", "…"))
        assert said(changed) == "….jpg could not be saved: file. …"


class TestStrangers:
    @pytest.mark.parametrize(
        "placeholder",
        [
            "{x.__class__}",
            "{x[0]}",
            "{x!r}",
            "{x:>999999999}",
            "{x:.99f}",
            "{x:{y}}",
            "{}",
            "{0}",
            "{",
            "}",
            "{x",
            "%s",
        ],
    )
    def test_an_odd_placeholder_is_a_text_like_any_other(self, placeholder: str) -> None:
        assert written(Sentence(f"a {placeholder} b", values={"x": 1.5}), "en") == f"a {placeholder} b"

    def test_doubled_braces_are_single_ones(self) -> None:
        assert _("{{{name}}}").format(name="{name}") == "{{name}}"

    def test_a_placeholder_without_a_value_is_kept(self) -> None:
        assert _("{a} {b}").format(a=1) == "1 {b}"

    def test_the_longest_text_is_shown_and_a_longer_one_is_refused(self) -> None:
        assert len(said(decoded({"text": "x" * MOST_LETTERS}, _Holder).text)) == MOST_LETTERS
        for text in ("x" * (MOST_LETTERS + 1), {"kind": "sentence", "text": "x" * (MOST_LETTERS + 1)}):
            with pytest.raises(ValueError, match="length"):
                decoded({"text": text}, _Holder)

    @pytest.mark.parametrize(
        "text",
        [
            {"kind": "sentence"},
            {"kind": "other", "text": "a"},
            {"text": "a"},
            {"kind": "sentence", "text": "a", "values": {"x": [1]}},
            {"kind": "sentence", "text": "a", "values": {"x": True}},
            {"kind": "sentence", "text": "a", "values": {"x": 10**400}},
            {"kind": "sentence", "text": "a", "count": 2**60},
            {"kind": "number", "value": 1, "digits": 10**9},
            {"kind": "number", "value": 1, "unit": "metre"},
            {"kind": "joined", "parts": ["a"] * 1001},
            {"kind": "joined", "parts": ["a"], "style": "other"},
            ["a"],
            7,
        ],
    )
    def test_what_the_app_does_not_write_is_refused(self, text: object) -> None:
        with pytest.raises(ValueError):
            decoded({"text": text}, _Holder)

    def test_sentences_within_sentences_end(self) -> None:
        recipe: Sentence = Sentence("deepest")
        for level in range(50):
            recipe = Sentence(f"{level} {{inner}}", values={"inner": recipe})
        assert (
            said(decoded({"text": msgspec.to_builtins(recipe)}, _Holder).text)
            == "49 48 47 46 45 44 43 42 41 "
        )

    @pytest.mark.parametrize("innermost", ["", "x", Number(9e14, 9), Joined(("",) * 1000, "and")])
    def test_a_text_that_would_grow_without_end_is_cut(self, innermost: object) -> None:
        recipe = Sentence("{x}" * 1000, values={"x": innermost})  # type: ignore[dict-item]
        for _level in range(6):
            recipe = Sentence("{x}" * 1000, values={"x": recipe})
        assert len(written(recipe, "de")) < 2 * MOST_LETTERS


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00",
        b'msgid ""\nmsgstr "Content-Type: text/plain; charset=nonsense\\n"\n\nmsgid "a"\nmsgstr "b"\n',
        b'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=import os;\\n"\n\nmsgid "a"\nmsgstr "b"\n',
        b'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=n/0;\\n"\n\nmsgid "a"\nmsgstr "b"\n',
        b'msgid "The disk is full.\nmsgstr "',
    ],
)
def test_a_damaged_catalogue_leaves_the_app_in_english(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "it.po").write_bytes(content)
    with speaking("it"):
        assert str(_("The disk is full.")) == "The disk is full."
        assert plural("{count} photo", "{count} photos", 2) == "2 photos"
    assert in_german(_("The disk is full.")) == "Die Platte ist voll."


def test_a_damaged_catalogue_is_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "it.po").write_bytes(b"\xff")
    for _time in range(2):
        assert compiled_catalogue("it") == b""
    assert caplog.text.count(str(tmp_path / "it.po")) == 1


@pytest.mark.parametrize("wanted", ["", "xx", "../de", "de/../../etc", "\0", "d" * 10_000, "日本語"])
def test_a_language_that_is_not_there_is_english(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LANGUAGE_VARIABLE, wanted.replace("\0", ""))
    assert default_language() == "en"


def test_without_the_folder_of_catalogues_the_app_is_in_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOCALE_VARIABLE, str(tmp_path / "nowhere"))
    assert languages() == {"en": "English"}
    assert in_german(_("The disk is full.")) == "The disk is full."


class TestInFiles:
    """What one visitor's work has left behind is shown to another."""

    def test_the_end_of_a_run(self, tmp_path: Path) -> None:
        with speaking("de"):
            reason = _("{file} could not be saved: {reason}.").format(file="a", reason=_("The disk is full."))
            EventLog(tmp_path / "events.jsonl").append(RunEnded(1.0, "failed", stored(reason)))
            EventLog(tmp_path / "other.jsonl").append(RunEnded(1.0, "failed", stored("Von Hand.")))
        found = followed_snapshot(tmp_path / "events.jsonl")
        assert said(found.message) == "a could not be saved: The disk is full.."
        assert in_german(said(found.message)) == "a wurde nicht gespeichert: Die Platte ist voll.."
        assert last_outcome(tmp_path / "events.jsonl") == "failed"
        assert said(followed_snapshot(tmp_path / "other.jsonl").message) == "Von Hand."

    def test_the_longest_end_of_a_run_is_found_without_the_rest(self, tmp_path: Path) -> None:
        values = {str(place): "ä" * 200 for place in range(8)}
        log = EventLog(tmp_path / "events.jsonl")
        log.append(RunEnded(1.0, "stopped", Sentence("A reason. " * 30, values=values)))
        assert last_outcome(tmp_path / "events.jsonl") == "stopped"

    def test_the_name_of_a_deleted_photo_leaves_the_end_of_a_run(self) -> None:
        reason = _("{file} could not be saved: {reason}.").format(file="anna.jpg", reason="disk of anna.jpg")
        erased = erased_event(RunEnded(1.0, "failed", stored(reason)), {"a1": "anna.jpg"})
        assert isinstance(erased, RunEnded)
        assert said(erased.message) == "… could not be saved: disk of …."

    def test_why_a_file_was_left_out(
        self, workspace: Workspace, make_image: Callable[..., bytes], tmp_path: Path
    ) -> None:
        english = "the same photo is already in the class {class_name} ({name})"
        write_catalogue(tmp_path, "de", {english: "dasselbe Foto ist schon in {class_name} ({name})"})
        image = make_image(seed=1)
        files = [ImportedFile((name, "1.png"), lambda: image) for name in ("cat", "dog")]
        with speaking("de"):
            dataset = add_files(create_dataset(workspace, _("Photos")), files)
        (left_out,) = ImageDataset.load(workspace, dataset.id).left_out
        assert said(left_out.reason) == "the same photo is already in the class cat (1.png)"
        assert in_german(said(left_out.reason)) == "dasselbe Foto ist schon in cat (1.png)"
        content = (dataset.folder / "dataset.json").read_bytes()
        # A project may hold it: it is not nested too deeply.
        assert parse_text(content, "dataset.json", 1)["left_out"][0]["reason"]["kind"] == "sentence"

    def test_a_name_that_the_app_gave_is_the_persons_own(self, workspace: Workspace, tmp_path: Path) -> None:
        write_catalogue(tmp_path, "de", {"Drawings": "Zeichnungen"})
        with speaking("de"):
            dataset = create_dataset(workspace, _("Drawings")).save()
        assert ImageDataset.read(dataset.folder).name == "Zeichnungen"


class TestBetweenProcesses:
    def test_a_worker_process_sends_the_end_of_a_run(self) -> None:
        ended = RunEnded(1.0, "failed", stored(_("{size:.1f} MB").format(size=1.5)))
        outgoing = io.StringIO()
        Channel(io.StringIO("{}\n"), outgoing).emit(ended)
        events: list[TrainingEvent] = []
        with speaking("de"):
            _reply(json.loads(outgoing.getvalue()), events.append, lambda: False)
        assert events == [ended]

    def test_a_worker_process_learns_why_an_event_was_not_written(self) -> None:
        def refuse(_event: TrainingEvent) -> None:
            raise WorkspaceError(_("{size:.1f} MB").format(size=1.5))

        outgoing = io.StringIO()
        Channel(io.StringIO("{}\n"), outgoing).emit(RunEnded(1.0, "finished"))
        reply = _reply(json.loads(outgoing.getvalue()), refuse, lambda: False)
        with pytest.raises(WorkspaceError) as raised:
            Channel(io.StringIO(json.dumps(reply) + "\n"), io.StringIO()).emit(RunEnded(1.0, "finished"))
        assert (str(raised.value), in_german(raised.value)) == ("1.5 MB", "1,5 MB")

    def test_the_driver_of_a_cluster_sends_sentences(self) -> None:
        sentence = stored(_("{size:.1f} MB").format(size=1.5))
        node = Node("n1", "lab-1", "10.0.0.1", 4.0, problem=sentence)
        for message in (JobFailed("j1", sentence), ClusterProblem(sentence), NodesChanged((node,))):
            assert decode_from_driver(encode(message)) == message
        assert joined_by_computer([node, node])[0].num_cpus == 8
        assert in_german(said(sentence)) == "1,5 MB"

    def test_a_node_ends_a_run_with_a_sentence(self) -> None:
        ended = ended_by(TrainingError(_("{size:.1f} MB").format(size=1.5)))
        again = event_from_dict(json.loads(json.dumps(event_to_dict(ended))))
        assert isinstance(again, RunEnded)
        assert in_german(said(again.message)) == "1,5 MB"


@pytest.fixture
def english_log() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    log_in_english()
    yield
    logging.setLogRecordFactory(before)


def test_the_log_is_in_english(english_log: None, caplog: pytest.LogCaptureFixture) -> None:
    with speaking("de"):
        try:
            raise TrainingError(_("The disk is full."))
        except TrainingError as error:
            logging.getLogger("a room").exception("It failed: %s", error)
        logging.getLogger("a room").warning(_("The disk is full."))
    assert "It failed: The disk is full." in caplog.text
    assert "TrainingError: The disk is full." in caplog.text
    assert "Platte" not in caplog.text
