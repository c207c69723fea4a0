"""Files of folders, zips and uploads are listed; hostile and broken ones are refused with a reason."""

import errno
import io
import os
import stat
import struct
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile, clean_name, matching_class, shown_name
from transfer_core.data.sources.layout import labelled_files
from transfer_core.data.sources.layout_choice import LayoutChoice
from transfer_core.data.sources.open_source import csv_source, open_archive, open_source
from transfer_core.data.sources.upload import failing_file, uploaded_file
from transfer_core.data.sources.zip_archive import zip_source
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.schema import CONTROL_CHARACTERS_AND_LINES

DAMAGED_ZIP = (
    "photos.zip is not a zip file, or it is damaged. Pack the folder with the class folders again and choose "
    "the new file."
)
TOO_MANY = (
    "There are more than {} files, the most that is taken at once. Split them and add the parts. (The limit is the "
    "setting TRANSFER_STUDIO_MAX_FILES.)"
)
# The same examples in every run.
bounded = settings(max_examples=100, deadline=None, derandomize=True, database=None)
LINK = "it is a link, and links are not followed; use the file itself"
DAMAGED_INSIDE = "it is damaged inside the zip file"


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def opened(content: bytes) -> list[ImportedFile]:
    return zip_source(io.BytesIO(content), "photos.zip")


def parts_in(members: Mapping[str, bytes] | list[str]) -> list[tuple[str, ...]]:
    if isinstance(members, list):
        members = dict.fromkeys(members, b"1")
    return [file.parts for file in opened(zipped(members))]


def why_unreadable(file: ImportedFile) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        file.read()
    return str(caught.value)


def why_refused(read: Callable[[], object]) -> str:
    with pytest.raises(IngestError) as caught:
        read()
    return str(caught.value)


def file_at(path: str) -> ImportedFile:
    return ImportedFile(tuple(path.split("/")), lambda: b"")


def in_table(path: Path) -> list[ImportedFile]:
    return labelled_files(csv_source(path), LayoutChoice("table"))


SYSTEM_NAMES = [
    *(
        "__MACOSX",
        ".DS_Store",
        "._1.jpg",
        ".git",
        ".Spotlight-V100",
        ".Trashes",
        ".fseventsd",
        ".AppleDouble",
    ),
    *("Thumbs.db", "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "$RECYCLE.BIN", "RECYCLER", "Icon\r"),
    *("System Volume Information", "lost+found", "LOST.DIR", "@eaDir", "#recycle", "@Recycle", "#snapshot"),
    *(
        "Network Trash Folder",
        ".ipynb_checkpoints",
        ".thumbnails",
        "Picasa.ini",
        ".picasa.ini",
        "ZbThumbnail.info",
    ),
    *("SYNOPHOTO_THUMB_M.jpg", "SYNOPHOTO_THUMB_XL.jpg", "~$photos.xlsx", ".Trash-1000", ".@__thumb"),
]
OTHER_NAMES = [
    *(
        "lost",
        "found",
        "recycle",
        "recycled",
        "Recycle Bin",
        "thumbs",
        "thumbs.jpg",
        "MACOSX",
        "icon",
        "Icons",
    ),
    *(
        "system",
        "System Volume",
        "eaDir",
        "@home",
        "#1",
        "~",
        "$",
        "$100",
        "network",
        "thumb",
        "desktop",
        "picasa",
        "...",
    ),
]


class TestImportedFile:
    @pytest.mark.parametrize(
        ("path", "class_name"),
        [
            ("cat/1.jpg", "cat"),
            ("cat/old/1.jpg", "cat"),
            ("1.jpg", None),
            ("train/1.jpg", "train"),
            ("trains/1.jpg", "trains"),
            ("cat/train/1.jpg", "cat"),
            ("\u200b/1.jpg", None),
            ("  two   words /1.jpg", "two words"),
        ],
    )
    def test_the_first_folder_is_the_class_before_the_layout_is_read(
        self, path: str, class_name: str | None
    ) -> None:
        assert file_at(path).class_name == class_name

    def test_a_label_counts_more_than_the_folder(self) -> None:
        file = ImportedFile(("train", "cat", "1.jpg"), lambda: b"", " big\ncat ", "test")
        assert (file.class_name, file.split) == ("big cat", "test")
        assert ImportedFile(("cat", "1.jpg"), lambda: b"", "").class_name is None

    @pytest.mark.parametrize("name", SYSTEM_NAMES, ids=ascii)
    @pytest.mark.parametrize(
        "path", ["{}", "{}/1.jpg", "{}/cat/1.jpg", "cat/{}", "cat/{}/1.jpg", "train/cat/old/{}/1.jpg"]
    )
    def test_files_of_systems_and_programs_are_known(self, path: str, name: str) -> None:
        for spelling in {name, name.upper(), name.lower()}:
            assert file_at(path.format(spelling)).is_system_file

    @pytest.mark.parametrize("name", OTHER_NAMES)
    def test_others_are_not_taken_for_them(self, name: str) -> None:
        assert not file_at(f"{name}/1.jpg").is_system_file
        assert not file_at(f"cat/{name}").is_system_file

    def test_its_path_is_safe_to_show(self) -> None:
        assert file_at("cat/a\u202egpj.exe\n").path == "cat/agpj.exe"
        assert len(file_at("cat/" + "x" * 500).path) == 200


# Joiners, variants of letters, newest emoji, private use, marks alone, letters beyond the first plane, long names.
LETTERS_KEPT = [
    *(
        "\u0645\u06cc\u200c\u0631\u0648\u0645",
        "\u0915\u094d\u200d\u0937",
        "\u0e19\u200b\u0e19",
        "cat\u00addog",
    ),
    *(
        "\U0001f469\U0001f3fd\u200d\U0001f680",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "\u2764\ufe0f",
        "\u263a\ufe0e",
    ),
    *("\U0001facf", "\U0001fae9", "\U0001f8ff", "\ue000", "\U000f0000", "\u845b\U000e0100", "\U00020000"),
    *("\u0941", "\u0e39", "\u200ccat", "a" * 300),
]


class TestMatchingClass:
    @pytest.mark.parametrize(
        ("name", "class_names", "matching"),
        [
            ("cat", ["cat", "dog"], "cat"),
            ("Cat", ["cat", "dog"], "cat"),
            ("STRASSE", ["straße"], "straße"),
            ("a", ["A", "a"], "a"),
            ("A", ["A", "a"], "A"),
            ("CAT", ["Cat", "cat"], "CAT"),
            ("cow", ["cat"], "cow"),
            ("cat", [], "cat"),
        ],
    )
    def test_case_counts_where_it_must(self, name: str, class_names: list[str], matching: str) -> None:
        assert matching_class(name, class_names) == matching


class TestCleanName:
    @pytest.mark.parametrize(
        ("name", "clean"),
        [
            ("cat", "cat"),
            ("狐狸", "狐狸"),
            ("ثعلب", "ثعلب"),
            ("fox 🦊", "fox 🦊"),
            ("a\0b\x1b[31m\x7f", "ab[31m"),
            ("a\u202eb\u2066c\u200ed", "abcd"),
            ("\ud800x", "x"),
            ("a\tb\n\nc  d", "a b c d"),
            ("   ", ""),
            ("<b>&amp;</b>", "<b>&amp;</b>"),
        ],
        ids=ascii,
    )
    def test_only_visible_characters_are_kept(self, name: str, clean: str) -> None:
        assert clean_name(name) == clean

    def test_both_forms_of_an_umlaut_are_one_name(self) -> None:
        composed, decomposed = (unicodedata.normalize(form, "Füße") for form in ("NFC", "NFD"))
        assert composed != decomposed
        assert clean_name(composed) == clean_name(decomposed) == composed

    @pytest.mark.parametrize("name", LETTERS_KEPT, ids=ascii)
    def test_every_other_letter_is_part_of_it(self, name: str) -> None:
        assert clean_name(f" {name} ") == name

    @pytest.mark.parametrize(
        "name", ["\u200b", "\u200d \ufe0f", "\ufeff", "\0", "\u202e\u2069", "\u00ad"], ids=ascii
    )
    def test_nothing_visible_is_no_name(self, name: str) -> None:
        assert clean_name(name) == ""

    @bounded
    @given(st.text(), st.text())
    def test_it_is_the_same_when_cleaned_again(self, first: str, second: str) -> None:
        cleaned = clean_name(first)
        assert clean_name(cleaned) == cleaned
        assert not CONTROL_CHARACTERS_AND_LINES.search(cleaned)
        assert (shown_name(first) == shown_name(second)) >= (cleaned == clean_name(second))

    @pytest.mark.parametrize("length", [61, 255, 10_000])
    def test_it_is_shortened_only_where_it_is_shown(self, length: int) -> None:
        name = "a" * (length - 1) + "z"
        assert clean_name(name) == name
        assert shown_name(name) == "a" * 30 + "…" + "a" * 28 + "z"
        assert len(shown_name(name, 12)) == 12
        assert shown_name("x" * 60) == "x" * 60


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

    def test_links_are_reported_and_not_followed(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret.jpg").write_bytes(b"1")
        folder = tmp_path / "folder"
        (folder / "cat").mkdir(parents=True)
        (folder / "cat" / "file.jpg").symlink_to(outside / "secret.jpg")
        (folder / "cat" / "gone.jpg").symlink_to(outside / "gone.jpg")
        (folder / "dog").symlink_to(outside, target_is_directory=True)
        (folder / "loop").symlink_to(folder, target_is_directory=True)
        files = folder_source(folder)
        assert [file.path for file in files] == ["cat/file.jpg", "cat/gone.jpg", "dog", "loop"]
        assert {why_unreadable(file) for file in files} == {LINK}

    def test_a_pipe_is_reported_and_not_waited_for(self, tmp_path: Path) -> None:
        if not hasattr(os, "mkfifo"):
            pytest.skip("needs named pipes as Linux and macOS have them")
        os.mkfifo(tmp_path / "pipe.jpg")
        assert why_unreadable(folder_source(tmp_path)[0]) == "it is not a plain file"

    def test_a_folder_that_cannot_be_opened_is_reported(
        self, image_folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = os.scandir

        def scandir(path: str) -> object:
            if Path(path).name == "green":
                raise PermissionError(errno.EACCES, "Permission denied", path)
            return original(path)

        monkeypatch.setattr(os, "scandir", scandir)
        files = folder_source(image_folder)
        assert [file.path for file in files if file.parts[0] == "green"] == ["green"]
        assert why_unreadable(files[8]) == "the folder cannot be opened (Permission denied)"
        assert len(files) == 17

    def test_folders_too_deep_are_reported(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "a" / "b" / "c").mkdir(parents=True)
        for folder in ("a", "a/b", "a/b/c"):
            (tmp_path / folder / "1.jpg").write_bytes(b"1")
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_DEPTH", "2")
        deep, *others = sorted(folder_source(tmp_path), key=lambda file: file.path.endswith("jpg"))
        assert (deep.path, len(others)) == ("a/b/c", 2)
        assert why_unreadable(deep) == "it lies in more than 2 folders within each other"

    def test_each_file_has_its_location(self, tmp_path: Path, image_folder: Path) -> None:
        files = folder_source(tmp_path)
        assert [file.parts[-2] for file in files[::8]] == ["blue", "green", "red"]
        assert {file.location for file in files} == set(image_folder.glob("*/*.jpg"))

    def test_a_file_that_was_deleted_meanwhile(self, image_folder: Path) -> None:
        file = folder_source(image_folder)[0]
        (image_folder / "blue" / "blue-0.jpg").unlink()
        assert why_unreadable(file) == "it cannot be read (No such file or directory)"

    def test_a_file_too_large_is_not_read(self, image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with (image_folder / "blue" / "blue-0.jpg").open("wb") as file:
            file.truncate(100 * 1024**2 + 1)
        monkeypatch.setattr(Path, "read_bytes", pytest.fail)
        assert why_unreadable(folder_source(image_folder)[0]) == "the file is larger than 100 MB"

    def test_too_many_files_are_refused(self, image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "24")
        assert len(folder_source(image_folder)) == 24
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "23")
        assert why_refused(lambda: folder_source(image_folder)) == TOO_MANY.format(23)


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

    def test_a_file_that_could_not_be_sent_is_reported(self) -> None:
        file = failing_file("photos/cat/1.jpg", is_too_large=True)
        assert (file.path, why_unreadable(file)) == ("cat/1.jpg", "the file is larger than 100 MB")
        file = failing_file("photos/cat/1.jpg", is_too_large=False)
        assert why_unreadable(file) == "the browser could not read it"


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

    def test_class_folders_at_the_top_are_kept(self) -> None:
        names = ["cat/1.jpg", "dog/1.jpg", "dog/more/2.jpg"]
        assert parts_in(names) == [tuple(name.split("/")) for name in names]

    def test_a_single_class_folder_is_kept(self) -> None:
        assert parts_in(["cat/1.jpg", "cat/2.jpg"]) == [("cat", "1.jpg"), ("cat", "2.jpg")]

    @pytest.mark.parametrize("name", ["a/./b//1.jpg", "a\\b\\1.jpg", "./a/b/1.jpg"])
    def test_ways_to_write_the_same_path(self, name: str) -> None:
        assert parts_in([name, "other/1.jpg"])[0] == ("a", "b", "1.jpg")

    @pytest.mark.parametrize("name", ["Füße/1.jpg", "狐狸/1.jpg"])
    def test_names_in_utf8_that_do_not_say_so(self, name: str) -> None:
        content = zipped({name: b"1"}).replace(b"\0\x08", b"\0\0")
        assert opened(content)[0].parts[0] == name.partition("/")[0]

    def test_a_member_without_a_name_does_not_cost_the_others(self) -> None:
        unnamed, named = opened(zipped({"": b"1", "cat/1.jpg": b"2"}))
        assert why_unreadable(unnamed) == "it has no name"
        assert named.read() == b"2"

    @pytest.mark.parametrize("content", [b"", b"no zip", b"PK\3\4" + bytes(60)])
    def test_what_is_no_zip_is_refused(self, content: bytes) -> None:
        assert why_refused(lambda: opened(content)) == DAMAGED_ZIP

    @pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
    def test_a_zip_that_was_cut_off_is_refused(self, share: float) -> None:
        content = zipped({f"cat/{number}.jpg": bytes(300) for number in range(9)})
        assert why_refused(lambda: opened(content[: int(len(content) * share)])) == DAMAGED_ZIP

    def test_the_name_in_the_message_is_clean(self) -> None:
        message = why_refused(lambda: zip_source(io.BytesIO(b""), "a\u202epiz.\n" + "x" * 900))
        assert message.startswith("apiz. " + "x" * 24 + "…" + "x" * 29 + " is not a zip file")

    def test_a_locked_member_is_reported_and_the_others_are_read(self) -> None:
        content = bytearray(zipped({"cat/1.jpg": b"one", "cat/2.jpg": b"two"}))
        for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
            content[content.index(signature) + flags] |= 1
        locked, free = opened(bytes(content))
        assert why_unreadable(locked) == "it is locked with a password"
        assert free.read() == b"two"

    def test_a_link_is_reported(self) -> None:
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
    def test_a_damaged_member_is_reported_and_the_others_are_read(
        self, compression: int, offset: int
    ) -> None:
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

    def test_a_bomb_is_refused_unread(self) -> None:
        bomb = zipped({"cat/1.jpg": bytes(30_000_000), "dog/1.jpg": b"1"}, zipfile.ZIP_DEFLATED)
        assert len(bomb) < 40_000
        assert why_refused(lambda: opened(bomb)) == (
            "photos.zip was not opened: unpacked it is more than 200 times as large. "
            "Pack only the photos and choose the new file. (The limit is the setting TRANSFER_STUDIO_MAX_RATIO.)"
        )

    def test_a_small_drawing_may_shrink_a_lot(self) -> None:
        assert opened(zipped({"cat/1.bmp": bytes(9_000_000)}, zipfile.ZIP_DEFLATED))[0].read()[:2] == b"\0\0"

    def test_more_than_fits_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_TOTAL_MB", "1")
        content = zipped({"cat/1.jpg": bytes(600_000), "cat/2.jpg": bytes(600_000)})
        assert why_refused(lambda: opened(content)) == (
            "photos.zip was not opened: it has more than 1 MB in it. Split it and add the parts. (The limit is the "
            "setting TRANSFER_STUDIO_MAX_TOTAL_MB.)"
        )

    def test_a_false_size_is_found_while_reading(self) -> None:
        content = bytearray(zipped({"cat/1.jpg": bytes(5_000_000)}, zipfile.ZIP_DEFLATED))
        struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, 10)
        assert why_unreadable(opened(bytes(content))[0]) == DAMAGED_INSIDE

    def test_one_large_member_is_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILE_MB", "2")
        large, small = opened(zipped({"cat/1.jpg": bytes(2 * 1024**2 + 1), "cat/2.jpg": bytes(2 * 1024**2)}))
        assert why_unreadable(large) == "the file is larger than 2 MB"
        assert len(small.read()) == 2 * 1024**2

    def test_members_that_share_their_bytes_are_refused(self) -> None:
        content = bytearray(zipped({"cat/1.jpg": bytes(500), "cat/2.jpg": bytes(500)}))
        second = content.rindex(b"PK\1\2")
        struct.pack_into("<I", content, second + 42, 20)
        assert why_refused(lambda: opened(bytes(content))) == (
            "photos.zip was not opened: files in it overlap, which may be harmful. Pack only the "
            "photos and choose the new file."
        )

    def test_too_many_members_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "2")
        content = zipped({f"cat/{number}.jpg": b"1" for number in range(3)})
        assert why_refused(lambda: opened(content)) == TOO_MANY.format(2)

    @pytest.mark.parametrize("is_large_form", [False, True])
    def test_a_list_of_members_that_fills_the_memory_is_not_read(
        self, monkeypatch: pytest.MonkeyPatch, is_large_form: bool
    ) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "3")
        monkeypatch.setattr(zipfile, "ZipFile", pytest.fail)
        size = 0xFFFFFFFF if is_large_form else 4096
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0, 0, size, 0, 0)
        large_end = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, 0, 0, 1 << 40, 0)
        locator = struct.pack("<4sIQI", b"PK\6\7", 0, 0, 1)
        content = large_end + locator + end if is_large_form else end
        assert why_refused(lambda: opened(b"PK\3\4" + content)) == TOO_MANY.format(3)


def tarred(members: Mapping[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


class TestTar:
    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    @pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    def test_members_are_listed_and_read(
        self, monkeypatch: pytest.MonkeyPatch, mode: str, tar_format: int
    ) -> None:
        monkeypatch.setattr(tarfile, "DEFAULT_FORMAT", tar_format)
        long_name = "x" * 90 + ".jpg"
        content = tarred(
            {"all/cat/1.jpg": b"meow" * 999, f"all/dog/{long_name}": b"", "all/狗/2": b"w"}, mode
        )
        with open_archive(io.BytesIO(content), "photos") as files:
            assert [(file.parts, file.read()) for file in reversed(files)] == [
                (("all", "狗", "2"), b"w"),
                (("all", "dog", long_name), b""),
                (("all", "cat", "1.jpg"), b"meow" * 999),
            ]

    def test_files_are_read_by_several_threads(self) -> None:
        content = tarred({f"cat/{number}": bytes([number]) * 5000 for number in range(100)}, "w:gz")
        with open_archive(io.BytesIO(content), "photos.tgz") as files, ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda file: set(file.read()), files)) == [{number} for number in range(100)]

    def test_no_file_is_left_open_or_on_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        with open_archive(io.BytesIO(tarred({"cat/1.jpg": b"1"}, "w:xz")), "a.tar.xz") as files:
            pass
        with pytest.raises(ValueError, match="closed file"):
            files[0].read()
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_entry_is_no_file(self) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            folder = tarfile.TarInfo("cat")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
        with open_archive(buffer, "photos.tar") as files:
            assert files == []


class TestOpenSource:
    def test_the_content_decides_the_kind(self, tmp_path: Path) -> None:
        members = {"cat/1.jpg": b"1", "dog/2.jpg": b"2"}
        for number, content in enumerate([zipped(members), tarred(members), tarred(members, "w:gz")]):
            for ending in (".jpg", ".csv"):
                path = tmp_path / f"{number}{ending}"
                path.write_bytes(content)
                with open_source(path) as files:
                    assert [(file.class_name, file.read()) for file in files] == [
                        ("cat", b"1"),
                        ("dog", b"2"),
                    ]

    def test_a_folder(self, image_folder: Path) -> None:
        with open_source(image_folder) as files:
            assert len(files) == 24

    def test_a_table(self, tmp_path: Path) -> None:
        (tmp_path / "1.jpg").write_bytes(b"1")
        (tmp_path / "labels.csv").write_text("1.jpg,cat")
        with open_source(tmp_path / "labels.csv") as files:
            assert [file.parts for file in files] == [("labels.csv",), ("1.jpg",)]

    def test_what_is_not_there(self, tmp_path: Path) -> None:
        path = tmp_path / "no"
        with pytest.raises(IngestError) as caught, open_source(path):
            pass
        assert str(caught.value) == (
            f"{path} cannot be read: No such file or directory. Choose a folder, a zip or a tar file."
        )


class TestTable:
    """Labels from a table in a folder, and from a table alone."""

    @pytest.fixture
    def photos(self, tmp_path: Path) -> Path:
        folder = tmp_path / "photos"
        for name in ("a.jpg", "b.jpg", "more/c.jpg", "more/d.jpg"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        return folder

    def labels(self, files: list[ImportedFile]) -> dict[str, str | None]:
        return {file.path: file.class_name for file in files if file.read()}

    @pytest.mark.parametrize(
        "text",
        [
            b"a.jpg,cat\nmore/c.jpg,dog\n",
            b"path,label\r\na.jpg,cat\r\nmore/c.jpg,dog\r\n",
            b"\xef\xbb\xbffilename;class\na.jpg;cat\nmore/c.jpg;dog",
            b"file\tclass_name\na.jpg\tcat\nmore/c.jpg\tdog",
            b"id,label,image\n1,cat,a.jpg\n2,dog,c.jpg\n",
            b'"a.jpg","cat"\n\n"more\\c.jpg"," dog "\n',
            b"./A.JPG,cat\nMORE/C.jpg,dog\n",
            "path,label\na.jpg,cat\nmore/c.jpg,dog\n".encode("utf-16"),
        ],
        ids=repr,
    )
    def test_ways_to_write_it(self, photos: Path, text: bytes) -> None:
        (photos / "labels.csv").write_bytes(text)
        named = [
            file for file in labelled_files(folder_source(photos)) if file.path in ("a.jpg", "more/c.jpg")
        ]
        assert self.labels(named) == {"a.jpg": "cat", "more/c.jpg": "dog"}

    @pytest.mark.parametrize("letters", ["utf-8", "latin-1"])
    def test_letters(self, photos: Path, letters: str) -> None:
        (photos / "labels.csv").write_bytes("a.jpg,Füchse\n".encode(letters))
        assert labelled_files(folder_source(photos))[0].class_name == "Füchse"

    @pytest.mark.parametrize("header", ["", "path,label,split\n"])
    def test_a_third_column_is_the_split(self, photos: Path, header: str) -> None:
        (photos / "labels.csv").write_text(header + "a.jpg,cat,train\nb.jpg,cat,VAL\nmore/c.jpg,dog,test\n")
        assert [file.split for file in labelled_files(folder_source(photos))[:3]] == [
            "train",
            "validation",
            "test",
        ]

    def test_everything_else_is_reported(self, photos: Path) -> None:
        (photos / "labels.csv").write_text(
            "a.jpg,cat\nb.jpg,\ngone.jpg,cat\nmore/c.jpg,cat\nmore/c.jpg,dog\na.jpg,cat\n../x.jpg,cat\n"
        )
        (photos / ".DS_Store").write_bytes(b"1")
        files = {file.path: file for file in labelled_files(folder_source(photos))}
        assert files.pop("a.jpg").class_name == "cat"
        assert files.pop(".DS_Store").is_system_file
        assert {path: why_unreadable(file) for path, file in files.items()} == {
            "b.jpg": "labels.csv gives it no class",
            "gone.jpg": "labels.csv names it, but it is not there",
            "more/c.jpg": "labels.csv gives it more than one class",
            "more/d.jpg": "labels.csv does not name it",
            "../x.jpg": "its path leads out of the folder (..)",
        }

    @pytest.mark.parametrize(
        "tables",
        [
            {"notes.csv": "gone.jpg,cat"},
            {"notes.csv": "only one column\na.jpg"},
            {"notes.csv": "\0,\0"},
            {"empty.csv": ""},
        ],
        ids=str,
    )
    def test_without_a_table_of_photos_the_folders_are_the_classes(
        self, photos: Path, tables: dict[str, str]
    ) -> None:
        for name, text in tables.items():
            (photos / name).write_text(text)
        files = {file.path: file.class_name for file in labelled_files(folder_source(photos))}
        assert (files["a.jpg"], files["more/c.jpg"]) == (None, "more")

    @pytest.mark.parametrize("root", ["", "photos/"])
    def test_in_a_zip_and_a_tar(self, root: str) -> None:
        members = {f"{root}labels.csv": b"1.jpg,cat\nimages/2.jpg,dog", f"{root}1.jpg": b"1"}
        members |= {f"{root}images/2.jpg": b"2", f"{root}images/3.jpg": b"3"}
        for content in (zipped(members), tarred(members), tarred(members, "w:gz")):
            with open_archive(io.BytesIO(content), "photos") as files:
                files = labelled_files(files)
                assert self.labels(files[:2]) == {f"{root}1.jpg": "cat", f"{root}images/2.jpg": "dog"}
                assert [why_unreadable(file) for file in files[2:]] == ["labels.csv does not name it"]

    def test_alone(self, photos: Path) -> None:
        table = photos / "labels.csv"
        (photos / "link.jpg").symlink_to(photos / "a.jpg")
        (photos / "other").symlink_to(photos / "more", target_is_directory=True)
        outside = f"{photos.parent}/secret.jpg"
        table.write_text(
            f"a.jpg,cat\nlink.jpg,cat\nother/c.jpg,dog\n{outside},dog\n../secret.jpg,dog\n{'x' * 300}.jpg,dog\n"
        )
        (photos.parent / "secret.jpg").write_bytes(b"secret")
        good, *others = in_table(table)
        assert (good.path, good.class_name, good.read()) == ("a.jpg", "cat", b"a.jpg")
        assert [why_unreadable(file) for file in others] == [
            LINK,
            "it lies behind a link to another folder",
            "its path starts at the top of a disk",
            "its path leads out of the folder (..)",
            "labels.csv names it, but it is not there",
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "A.JPG,cat\nC.jpg,dog",
            "id,breed\na,cat\nc,dog",
            "cat;gs://bucket/more/a.jpg\ndog;more/c.jpg",
        ],
    )
    def test_alone_with_paths_from_elsewhere(self, photos: Path, text: str) -> None:
        (photos / "labels.csv").write_text(text)
        found = {file.path: file.class_name for file in in_table(photos / "labels.csv")}
        assert "cat" in found.values()
        assert found["more/c.jpg"] == "dog"

    def test_alone_without_a_photo_that_is_there(self, photos: Path) -> None:
        (photos / "labels.csv").write_text("x.jpg,cat\ny.jpg,dog")
        assert why_refused(lambda: csv_source(photos / "labels.csv")) == (
            "labels.csv names no photo that is there. Put it into the folder of the photos, or the folder around "
            "them."
        )

    @pytest.mark.parametrize("text", ["", "just a text", "a.jpg\nb.jpg"])
    def test_what_is_no_table_is_refused(self, photos: Path, text: str) -> None:
        table = photos / "labels.csv"
        table.write_text(text)
        assert why_refused(lambda: in_table(table)) == (
            "labels.csv is not a table of path and class. Expected were lines such as: cats/1.jpg,cat (the path "
            "starts at the folder of the table)."
        )

    def test_a_deleted_or_too_large_table_is_refused(
        self, photos: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table = photos / "labels.csv"
        assert why_refused(lambda: in_table(table)) == (
            f"{table} cannot be read: No such file or directory. Choose a table of path and class."
        )
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILE_MB", "1")
        table.write_bytes(b"a.jpg,cat\n" * 200_000)
        assert why_refused(lambda: in_table(table)) == (
            f"{table} cannot be read: the file is larger than 1 MB. Choose a table of path and class."
        )

    def test_one_with_too_many_lines_is_refused(self, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "5")
        (photos / "labels.csv").write_text("a.jpg,cat\n" * 6)
        assert why_refused(lambda: in_table(photos / "labels.csv")) == TOO_MANY.format(5)
