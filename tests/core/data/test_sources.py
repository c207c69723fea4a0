"""Folders, zips and uploads list their files; what is hostile or broken is refused in plain words."""

import io
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from transfer_core.data import sources
from transfer_core.data.sources import SourceFile, clean_name, folder_source, uploaded_file, zip_source
from transfer_core.errors import IngestError, UnreadableImageError

DAMAGED_ZIP = (
    "photos.zip is not a zip file, or it is damaged. Pack the folder with the class folders again and choose "
    "the new file."
)
DAMAGED_INSIDE = "it is damaged inside the zip file"


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def opened(content: bytes) -> list[SourceFile]:
    return zip_source(io.BytesIO(content), "photos.zip")


def parts_in(members: Mapping[str, bytes] | list[str]) -> list[tuple[str, ...]]:
    if isinstance(members, list):
        members = dict.fromkeys(members, b"1")
    return [file.parts for file in opened(zipped(members))]


def why_unreadable(file: SourceFile) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        file.read()
    return str(caught.value)


def why_refused(read: Callable[[], object]) -> str:
    with pytest.raises(IngestError) as caught:
        read()
    return str(caught.value)


def file_at(path: str) -> SourceFile:
    return SourceFile(tuple(path.split("/")), lambda: b"")


class TestSourceFile:
    @pytest.mark.parametrize(
        ("path", "class_name"),
        [
            ("cat/1.jpg", "cat"),
            ("cat/old/1.jpg", "cat"),
            ("1.jpg", None),
            ("train/cat/1.jpg", "cat"),
            ("Validation/cat/1.jpg", "cat"),
            ("val/cat/deep/1.jpg", "cat"),
            ("test/dog/1.jpg", "dog"),
            ("train/1.jpg", "train"),
            ("trains/1.jpg", "trains"),
            ("cat/train/1.jpg", "cat"),
            ("\u200b/1.jpg", None),
            ("  two   words /1.jpg", "two words"),
        ],
    )
    def test_the_folder_is_the_class(self, path: str, class_name: str | None) -> None:
        assert file_at(path).class_name == class_name

    @pytest.mark.parametrize(
        "path",
        [
            "__MACOSX/cat/._1.jpg",
            "cat/.DS_Store",
            "cat/._1.jpg",
            "cat/Thumbs.db",
            "desktop.ini",
            ".git/a/1.jpg",
        ],
    )
    def test_files_of_the_operating_system_are_known(self, path: str) -> None:
        assert file_at(path).is_system_file

    @pytest.mark.parametrize("path", ["cat/1.jpg", "cat/thumbs.jpg", "MACOSX/1.jpg"])
    def test_others_are_not_taken_for_them(self, path: str) -> None:
        assert not file_at(path).is_system_file

    def test_its_path_is_safe_to_show(self) -> None:
        assert file_at("cat/a\u202egpj.exe\n").path == "cat/agpj.exe"
        assert len(file_at("cat/" + "x" * 500).path) == 200


class TestCleanName:
    @pytest.mark.parametrize(
        ("name", "clean"),
        [
            ("cat", "cat"),
            ("狐狸", "狐狸"),
            ("ثعلب", "ثعلب"),
            ("fox 🦊", "fox 🦊"),
            ("a\0b\x1b[31m\x7f", "ab[31m"),
            ("a\u202eb\u2066c\u200bd\ufeff", "abcd"),
            ("\ud800x", "x"),
            ("a\tb\n\nc  d", "abc d"),
            ("   ", ""),
            ("<b>&amp;</b>", "<b>&amp;</b>"),
        ],
        ids=ascii,
    )
    def test_only_what_can_be_seen_stays(self, name: str, clean: str) -> None:
        assert clean_name(name) == clean

    def test_both_forms_of_an_umlaut_are_one_name(self) -> None:
        composed, decomposed = (unicodedata.normalize(form, "Füße") for form in ("NFC", "NFD"))
        assert composed != decomposed
        assert clean_name(composed) == clean_name(decomposed) == composed

    def test_its_length_is_bounded(self) -> None:
        assert clean_name("x" * 255) == "x" * 60
        assert clean_name("x" * 59 + " yz") == "x" * 59


class TestFolder:
    def test_files_are_listed_in_order_with_their_folders(self, image_folder: Path) -> None:
        files = folder_source(image_folder)
        assert len(files) == 24
        assert [file.parts for file in files] == sorted(file.parts for file in files)
        assert {file.class_name for file in files} == {"blue", "green", "red"}
        assert files[0].read() == (image_folder / "blue" / "blue-0.jpg").read_bytes()

    @pytest.mark.parametrize("name", ["not there", "file"])
    def test_what_is_no_folder_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("x")
        assert why_refused(lambda: folder_source(tmp_path / name)) == (
            f"{tmp_path / name} is not a folder. Give a folder whose subfolders are the classes."
        )

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret.jpg").write_bytes(b"1")
        folder = tmp_path / "folder"
        (folder / "cat").mkdir(parents=True)
        (folder / "cat" / "file.jpg").symlink_to(outside / "secret.jpg")
        (folder / "dog").symlink_to(outside, target_is_directory=True)
        (folder / "loop").symlink_to(folder, target_is_directory=True)
        assert folder_source(folder) == []

    def test_a_file_that_is_gone_meanwhile(self, image_folder: Path) -> None:
        file = folder_source(image_folder)[0]
        (image_folder / "blue" / "blue-0.jpg").unlink()
        assert why_unreadable(file) == "it cannot be read (No such file or directory)"

    def test_a_file_too_large_is_not_read(self, image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with (image_folder / "blue" / "blue-0.jpg").open("wb") as file:
            file.truncate(100 * 1024**2 + 1)
        monkeypatch.setattr(Path, "read_bytes", pytest.fail)
        assert why_unreadable(folder_source(image_folder)[0]) == "the file is larger than 100 MB"

    def test_too_many_files_are_refused(self, image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "MAX_FILES", 24)
        assert len(folder_source(image_folder)) == 24
        monkeypatch.setattr(sources, "MAX_FILES", 23)
        assert why_refused(lambda: folder_source(image_folder)) == (
            "There are 24 files; up to 23 are taken at once. Split them and add the parts."
        )


class TestUpload:
    @pytest.mark.parametrize(
        ("path", "parts"),
        [
            ("photos/cat/1.jpg", ("cat", "1.jpg")),
            ("photos\\cat\\1.jpg", ("cat", "1.jpg")),
            ("photos/1.jpg", ("1.jpg",)),
            ("1.jpg", ("1.jpg",)),
            ("/photos/../cat/1.jpg", ("cat", "1.jpg")),
            ("", ("",)),
        ],
    )
    def test_the_folder_the_person_picked_is_dropped(self, path: str, parts: tuple[str, ...]) -> None:
        file = uploaded_file(path, b"content")
        assert file.parts == parts
        assert file.read() == b"content"


class TestZip:
    @pytest.mark.parametrize(
        "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    def test_members_are_listed_and_read(self, compression: int) -> None:
        files = opened(zipped({"cat/": b"", "cat/1.jpg": b"meow" * 9, "dog/1.jpg": b"wuff"}, compression))
        assert [(file.parts, file.read()) for file in files] == [
            (("cat", "1.jpg"), b"meow" * 9),
            (("dog", "1.jpg"), b"wuff"),
        ]

    def test_one_folder_around_all_classes_is_dropped(self) -> None:
        assert parts_in(["photos/cat/1.jpg", "photos/dog/1.jpg", "photos/readme.txt"]) == [
            ("cat", "1.jpg"),
            ("dog", "1.jpg"),
            ("readme.txt",),
        ]

    def test_files_of_the_operating_system_do_not_count_as_a_second_folder(self) -> None:
        names = ["photos/cat/1.jpg", "photos/dog/1.jpg", "__MACOSX/photos/cat/._1.jpg", ".DS_Store"]
        files = opened(zipped(dict.fromkeys(names, b"1")))
        assert [file.parts[0] for file in files] == ["cat", "dog", "__MACOSX", ".DS_Store"]
        assert [file.is_system_file for file in files] == [False, False, True, True]

    def test_classes_at_the_top_stay(self) -> None:
        names = ["cat/1.jpg", "dog/1.jpg", "dog/more/2.jpg"]
        assert parts_in(names) == [tuple(name.split("/")) for name in names]

    def test_a_single_class_stays(self) -> None:
        assert parts_in(["cat/1.jpg", "cat/2.jpg"]) == [("cat", "1.jpg"), ("cat", "2.jpg")]

    @pytest.mark.parametrize("root", ["", "data/"])
    def test_train_and_validation_folders_are_one_set(self, root: str) -> None:
        names = ["train/cat/1.jpg", "train/dog/1.jpg", "val/cat/2.jpg", "val/dog/2.jpg"]
        files = opened(zipped(dict.fromkeys([root + name for name in names], b"1")))
        assert [file.class_name for file in files] == ["cat", "dog", "cat", "dog"]

    @pytest.mark.parametrize(
        ("name", "parts"),
        [
            ("../../x/1.jpg", ("x", "1.jpg")),
            ("/etc/x/1.jpg", ("etc", "x", "1.jpg")),
            ("..\\..\\x\\1.jpg", ("x", "1.jpg")),
            ("C:\\x\\1.jpg", ("C:", "x", "1.jpg")),
            ("a/./b//../1.jpg", ("a", "b", "1.jpg")),
            ("..", ("..",)),
        ],
    )
    def test_names_lead_nowhere_else(self, name: str, parts: tuple[str, ...]) -> None:
        assert parts_in([name, "other/1.jpg"])[0] == parts

    def test_a_member_without_a_name_does_not_cost_the_others(self) -> None:
        assert parts_in(["", "cat/1.jpg"]) == [("",), ("cat", "1.jpg")]

    @pytest.mark.parametrize(
        "content", [b"", b"no zip", b"PK\3\4" + bytes(60), b"Rar!\x1a\x07\0" + bytes(60)]
    )
    def test_what_is_no_zip_is_refused(self, content: bytes) -> None:
        assert why_refused(lambda: opened(content)) == DAMAGED_ZIP

    @pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
    def test_a_zip_that_was_cut_off_is_refused(self, share: float) -> None:
        content = zipped({f"cat/{number}.jpg": bytes(300) for number in range(9)})
        assert why_refused(lambda: opened(content[: int(len(content) * share)])) == DAMAGED_ZIP

    def test_the_name_in_the_message_is_clean(self) -> None:
        message = why_refused(lambda: zip_source(io.BytesIO(b""), "a\u202epiz.\n" + "x" * 900))
        assert message.startswith("apiz." + "x" * 55 + " is not a zip file")

    def test_a_locked_member_is_told_and_the_others_are_read(self) -> None:
        content = bytearray(zipped({"cat/1.jpg": b"one", "cat/2.jpg": b"two"}))
        for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            content[content.index(signature) + flags] |= 1
        locked, free = opened(bytes(content))
        assert why_unreadable(locked) == "it is locked with a password"
        assert free.read() == b"two"

    def test_a_link_is_told(self) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            link = zipfile.ZipInfo("cat/1.jpg")
            link.create_system = 3
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        assert why_unreadable(opened(buffer.getvalue())[0]) == "it is only a link to another file"

    @pytest.mark.parametrize("offset", [0, 12])
    @pytest.mark.parametrize(
        "compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    def test_a_damaged_member_is_told_and_the_others_are_read(self, compression: int, offset: int) -> None:
        original = bytes(range(256)) * 4
        content = bytearray(zipped({"cat/1.jpg": original, "cat/2.jpg": original}, compression))
        start = content.index(b"cat/1.jpg") + len(b"cat/1.jpg")
        content[start + offset : start + 40] = b"\xff" * (40 - offset)
        damaged, whole = opened(bytes(content))
        assert why_unreadable(damaged) == DAMAGED_INSIDE
        assert whole.read() == original

    @pytest.mark.parametrize(
        "error", [OSError(), EOFError(), ValueError(), RuntimeError(), struct.error(), zlib.error()]
    )
    def test_whatever_unpacking_raises_is_said_in_words(
        self, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(*_arguments: object) -> None:
            raise error

        file = opened(zipped({"cat/1.jpg": b"one"}))[0]
        monkeypatch.setattr(zipfile.ZipFile, "open", fail)
        assert why_unreadable(file) == DAMAGED_INSIDE

    def test_an_unknown_compression_is_told(self) -> None:
        content = bytearray(zipped({"cat/1.jpg": b"one"}))
        struct.pack_into("<H", content, content.index(b"PK\3\4") + 8, 97)
        struct.pack_into("<H", content, content.index(b"PK\1\2") + 10, 97)
        assert why_unreadable(opened(bytes(content))[0]) == DAMAGED_INSIDE

    def test_a_bomb_is_refused_unread(self) -> None:
        bomb = zipped({"cat/1.jpg": bytes(30_000_000), "dog/1.jpg": b"1"}, zipfile.ZIP_DEFLATED)
        assert len(bomb) < 40_000
        assert why_refused(lambda: opened(bomb)) == (
            "photos.zip was not opened: unpacked it would be 30 MB, far more than a zip file of pictures can be. "
            "Pack only the pictures and choose the new file."
        )

    def test_a_small_drawing_may_shrink_a_lot(self) -> None:
        assert opened(zipped({"cat/1.bmp": bytes(9_000_000)}, zipfile.ZIP_DEFLATED))[0].read()[:2] == b"\0\0"

    def test_more_than_fits_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "MAX_TOTAL_BYTES", 999_999)
        content = zipped({"cat/1.jpg": bytes(500_000), "cat/2.jpg": bytes(500_000)})
        assert why_refused(lambda: opened(content)).startswith(
            "photos.zip was not opened: unpacked it would be 1 MB"
        )

    def test_a_size_that_lies_is_found_while_reading(self) -> None:
        content = bytearray(zipped({"cat/1.jpg": bytes(5_000_000)}, zipfile.ZIP_DEFLATED))
        struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 10)
        assert why_unreadable(opened(bytes(content))[0]) == DAMAGED_INSIDE

    def test_one_large_member_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "MAX_FILE_BYTES", 2 * 1024**2)
        large, small = opened(zipped({"cat/1.jpg": bytes(2 * 1024**2 + 1), "cat/2.jpg": bytes(2 * 1024**2)}))
        assert why_unreadable(large) == "the file is larger than 2 MB"
        assert len(small.read()) == 2 * 1024**2

    def test_members_that_share_their_bytes_are_refused(self) -> None:
        content = bytearray(zipped({"cat/1.jpg": bytes(500), "cat/2.jpg": bytes(500)}))
        second = content.rindex(b"PK\1\2")
        struct.pack_into("<I", content, second + 42, 20)
        assert why_refused(lambda: opened(bytes(content))) == DAMAGED_ZIP

    def test_too_many_members_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "MAX_FILES", 2)
        content = zipped({f"cat/{number}.jpg": b"1" for number in range(3)})
        assert why_refused(lambda: opened(content)) == (
            "There are 3 files; up to 2 are taken at once. Split them and add the parts."
        )
