"""Hostile and broken archives: each gives one clear sentence, and everything good in it comes in all the same."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.layout import labelled_files
from transfer_core.data.sources.open_source import open_archive, open_source
from transfer_core.errors import IngestError
from transfer_core.language import said
from transfer_core.workspace import Workspace

MakeImage = Callable[..., bytes]
Members = Mapping[str, bytes]
# The largest that a name may be on common disks, in bytes.
LONG_NAME = "狐" * 83 + ".png"
PACK_AGAIN = "Pack the folder with the class folders again and choose the new file."
NOT_A_ZIP = f"photos is not a zip file, or it is damaged. {PACK_AGAIN}"
NOT_A_TAR = f"photos is not a tar file, or it is damaged. {PACK_AGAIN}"
RATIO = (
    "photos was not opened: unpacked it is more than 200 times as large. Pack only the "
    "photos and choose the new file. (The limit is the setting TRANSFER_STUDIO_MAX_RATIO.)"
)
TOTAL = (
    "photos was not opened: it has more than 1 MB in it. Split it and add the parts. (The limit is the setting "
    "TRANSFER_STUDIO_MAX_TOTAL_MB.)"
)
COUNT = (
    "There are more than 30 files, the most that is taken at once. Split them and add the parts. (The limit is the "
    "setting TRANSFER_STUDIO_MAX_FILES.)"
)
OVERLAP = (
    "photos was not opened: files in it overlap, which may be harmful. Pack only the photos and "
    "choose the new file."
)


def zipped(members: Members, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def tarred(members: Members) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def deflated(members: Members) -> bytes:
    return zipped(members, zipfile.ZIP_DEFLATED)


PACKERS: dict[str, Callable[[Members], bytes]] = {"zip": zipped, "tar": tarred}
each_packer = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    return create_dataset(workspace, "Animals")


def ingested(dataset: ImageDataset, content: bytes) -> ImageDataset:
    with open_archive(io.BytesIO(content), "photos") as files:
        return add_files(dataset, labelled_files(files))


def good(make_image: MakeImage) -> dict[str, bytes]:
    return {"cat/good.png": make_image(seed=1), "dog/good.png": make_image(seed=2)}


def left_out(dataset: ImageDataset) -> list[tuple[str, str, str]]:
    return [(file.name, said(file.reason), file.kind) for file in dataset.left_out]


def why_refused(dataset: ImageDataset, content: bytes) -> str:
    with pytest.raises(IngestError) as caught:
        ingested(dataset, content)
    assert not dataset.folder.exists()
    return str(caught.value)


UP = "its path leads out of the folder (..)"
TOP = "its path starts at the top of a disk"
UNSAFE_NAMES = [
    ("../up.png", "../up.png", UP),
    ("cat/../../up.png", "cat/../../up.png", UP),
    ("..\\..\\up.png", "../../up.png", UP),
    ("cat\\..\\up.png", "cat/../up.png", UP),
    ("..", "..", UP),
    ("/etc/cat/1.png", "/etc/cat/1.png", TOP),
    ("\\\\host\\share\\1.png", "//host/share/1.png", TOP),
    ("C:\\cat\\1.png", "C:/cat/1.png", "its path starts with a drive (C:)"),
    ("x/" * 21 + "1.png", "x/" * 21 + "1.png", "it lies in more than 20 folders within each other"),
    (
        "x/" * 2000 + "1.png",
        "x/" * 50 + "…" + ("x/" * 48 + "1.png")[-99:],
        "it lies in more than 20 folders within each other",
    ),
]


@each_packer
@pytest.mark.parametrize(
    ("name", "shown", "reason"), UNSAFE_NAMES, ids=[ascii(name[0][:30]) for name in UNSAFE_NAMES]
)
def test_a_name_that_could_do_harm_is_refused_alone(
    tmp_path: Path,
    dataset: ImageDataset,
    make_image: MakeImage,
    pack: Callable[[Members], bytes],
    name: str,
    shown: str,
    reason: str,
) -> None:
    added = ingested(dataset, pack({name: make_image(seed=3), **good(make_image)}))
    assert left_out(added) == [(shown, reason, "unsafe")]
    assert added.counts() == {"cat": 1, "dog": 1}
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    facts = [dataset.folder / name for name in ("dataset.json", "dataset.json.lock")]
    assert written == {path.relative_to(tmp_path) for path in [*facts, *map(added.image_path, added.images)]}


def test_a_zero_character_hides_nothing(dataset: ImageDataset, make_image: MakeImage) -> None:
    content = zipped({"cat/1.pngX.exe": make_image(seed=3), **good(make_image)})
    added = ingested(dataset, content.replace(b"1.pngX.exe", b"1.png\0.exe"))
    assert left_out(added) == [
        ("cat/1.png.exe", "its name holds a zero character, which hides what follows", "unsafe")
    ]


def test_nothing_but_names_that_could_do_harm(dataset: ImageDataset, make_image: MakeImage) -> None:
    names = ["../1.png", "/2.png", "C:\\3.png"]
    assert why_refused(dataset, zipped({name: make_image(seed=3) for name in names})) == (
        "None of the 3 files can be used. The first one, ../1.png: its path leads out of the folder (..)."
    )


NAMES = [
    ("狐狸/写真.png", "狐狸"),
    ("ثعلب/صورة.png", "ثعلب"),
    ("🦊/📷.png", "🦊"),
    (f"cat/{LONG_NAME}", "cat"),
    ("x" * 255 + "/1.png", "x" * 255),
    ("-rf/--help.png", "-rf"),
    ("'; DROP TABLE/1.png", "'; DROP TABLE"),
    ("a\u202eb\u2066c/gnp\u202e.png", "abc"),
    ("a\x1b[31mb\x07\n/1.png", "a[31mb"),
    ("  two   words /1.png", "two words"),
    ("%2e%2e/%2e%2e/1.png", "%2e%2e"),
    ("~/1.png", "~"),
    ("$(reboot)/1.png", "$(reboot)"),
    *((f"{name}/1.png", name) for name in ("CON", "aux", "NUL", "prn", "LPT1", "com²", "con.jpg", "clock$")),
    *((f"{name}/1.png", name) for name in ("Quercus sp.", "...", "cat..", "a: b", "AC", "-", "_")),
    ("cat/con.jpg", "cat"),
    ("cat/NUL", "cat"),
    ("cat/Aux.tar.gz", "cat"),
    ("cat/1.png.", "cat"),
    ("cat/prn .png", "cat"),
    ("Rosa sp. /1.png", "Rosa sp."),
    ("<script>/1.png", "<script>"),
]


@each_packer
@pytest.mark.parametrize(("name", "class_name"), NAMES, ids=[ascii(name[0][:30]) for name in NAMES])
def test_an_odd_name_is_only_a_name(
    dataset: ImageDataset,
    make_image: MakeImage,
    pack: Callable[[Members], bytes],
    name: str,
    class_name: str,
) -> None:
    added = ingested(dataset, pack({name: make_image(seed=3), **good(make_image)}))
    assert left_out(added) == []
    assert class_name in added.class_names
    assert all(image.name.isprintable() for image in added.images)


@each_packer
def test_a_class_named_like_a_path(
    dataset: ImageDataset, make_image: MakeImage, pack: Callable[[Members], bytes]
) -> None:
    table = b"cat/good.png,../../etc\ndog/good.png,C:\\dog\n"
    added = ingested(dataset, pack({"labels.csv": table, **good(make_image)}))
    assert added.counts() == {"../../etc": 1, "C:\\dog": 1}
    assert {path.parent for path in dataset.folder.rglob("*.jpg")} == {dataset.folder / "images"}


@each_packer
@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (["Cat/1.png", "cat/1.png", "CAT/1.PNG"], {"CAT": 1, "Cat": 1, "cat": 1}),
        ([unicodedata.normalize(form, "Füchse/ä.png") for form in ("NFD", "NFC")], {"Füchse": 2}),
    ],
    ids=["case", "unicode form"],
)
def test_names_that_look_alike_are_both_kept(
    dataset: ImageDataset,
    make_image: MakeImage,
    pack: Callable[[Members], bytes],
    names: list[str],
    counts: dict[str, int],
) -> None:
    added = ingested(dataset, pack({name: make_image(seed=number) for number, name in enumerate(names)}))
    assert (added.counts(), left_out(added)) == (counts, [])


def test_the_same_name_twice_is_kept_twice(dataset: ImageDataset, make_image: MakeImage) -> None:
    content = zipped({"cat/1.png": make_image(seed=1), "cat/2.png": make_image(seed=2)})
    assert ingested(dataset, content.replace(b"cat/2.png", b"cat/1.png")).counts() == {"cat": 2}


class TestBombs:
    def test_by_ratio(self, dataset: ImageDataset) -> None:
        assert why_refused(dataset, deflated({"cat/1.jpg": bytes(30_000_000)})) == RATIO

    @pytest.mark.parametrize(
        "compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"]
    )
    def test_a_tar_by_ratio(self, dataset: ImageDataset, compress: Callable[[bytes], bytes]) -> None:
        assert why_refused(dataset, compress(tarred({"cat/1.jpg": bytes(30_000_000)}))) == RATIO

    def test_a_packed_tar_without_end_is_cut_short(self, dataset: ImageDataset) -> None:
        read: list[int] = []
        bomb = gzip.compress(bytes(12 * 1024**2)) * 40

        class Watched(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                read.append(len(content := super().read(size)))
                return content

        with pytest.raises(IngestError) as caught, open_archive(Watched(bomb), "photos"):
            pass
        assert str(caught.value) == RATIO
        assert sum(read) < len(bomb)

    @pytest.mark.parametrize("pack", [zipped, tarred, lambda members: gzip.compress(tarred(members), 0)])
    def test_by_size(
        self, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch, pack: Callable[[Members], bytes]
    ) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_TOTAL_MB", "1")
        noise = bytes(range(256)) * 2400
        assert why_refused(dataset, pack({"cat/1.jpg": noise, "cat/2.jpg": noise})) == TOTAL

    @each_packer
    def test_by_count(
        self, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch, pack: Callable[[Members], bytes]
    ) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "30")
        assert why_refused(dataset, pack({f"cat/{number}.jpg": b"" for number in range(31)})) == COUNT

    @each_packer
    def test_one_within_another_is_not_unpacked(
        self, dataset: ImageDataset, make_image: MakeImage, pack: Callable[[Members], bytes]
    ) -> None:
        inner = deflated({"cat/1.jpg": bytes(9_000_000)})
        for _ in range(3):
            inner = deflated({f"cat/{number}.zip": inner for number in range(3)})
        added = ingested(
            dataset, pack({"cat/inner.zip": inner, "cat/inner.tgz": gzip.compress(b"1"), **good(make_image)})
        )
        reason = "it is an archive, not a photo; unpack it and add what is in it"
        assert left_out(added) == [
            ("cat/inner.zip", reason, "not_an_image"),
            ("cat/inner.tgz", reason, "not_an_image"),
        ]
        assert len(added.images) == 2

    def test_overlapping_files(self, dataset: ImageDataset) -> None:
        content = bytearray(zipped({"cat/1.jpg": bytes(500), "cat/2.jpg": bytes(500)}))
        struct.pack_into("<I", content, content.rindex(b"PK\1\2") + 42, 20)
        assert why_refused(dataset, bytes(content)) == OVERLAP

    def test_many_names_for_the_same_bytes(self, dataset: ImageDataset) -> None:
        content = bytearray(zipped({f"cat/{number}.jpg": bytes(500) for number in range(9)}))
        place = 0
        while (place := content.find(b"PK\1\2", place)) >= 0:
            struct.pack_into("<I", content, place + 42, 0)
            place += 4
        assert why_refused(dataset, bytes(content)) == OVERLAP

    @pytest.mark.parametrize("claimed", [0, 10, 2**31])
    def test_a_zip_with_a_false_size(
        self, dataset: ImageDataset, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch, claimed: int
    ) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_RATIO", "1000000000")
        content = bytearray(deflated({"cat/1.jpg": bytes(9_000_000), **good(make_image)}))
        struct.pack_into("<I", content, content.index(b"PK\1\2") + 24, claimed)
        added = ingested(dataset, bytes(content))
        expected = (
            ("the file is larger than 100 MB", "too_large")
            if claimed > 10**9
            else ("it is damaged inside the zip file", "damaged")
        )
        assert left_out(added) == [("cat/1.jpg", *expected)]
        assert len(added.images) == 2

    def test_a_tar_with_a_false_size(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        member = tarfile.TarInfo("cat/last.png")
        member.size = 1_000_000
        content = tarred(good(make_image)).rstrip(b"\0")
        content += bytes(-len(content) % 512) + member.tobuf() + b"1234"
        assert why_refused(dataset, content) == NOT_A_TAR

    @pytest.mark.parametrize("size", [2**40, -1, -512])
    def test_a_tar_with_an_impossible_size(self, dataset: ImageDataset, size: int) -> None:
        member = tarfile.TarInfo("cat/1.png")
        member.size = size
        assert why_refused(dataset, member.tobuf(tarfile.GNU_FORMAT) + bytes(2048)) == NOT_A_TAR

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_a_tar_whose_header_would_fill_the_memory(self, dataset: ImageDataset, kind: bytes) -> None:
        member = tarfile.TarInfo("header")
        member.type, member.size = kind, 8 * 1024**2
        assert why_refused(dataset, member.tobuf() + b"1" * 8 * 1024**2 + bytes(1024)) == NOT_A_TAR

    def test_a_tar_of_a_file_with_holes(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        holes = b"".join(b"%011o\0" % number for number in (0, 512)) * 4
        member = tarfile.TarInfo("cat/holes.png")
        member.type, member.size = tarfile.GNUTYPE_SPARSE, 0
        header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
        header[386 : 386 + len(holes)] = holes
        header[483:495] = b"%011o\0" % 2**32
        header[148:156] = b"%06o\0 " % (sum(header[:148]) + 256 + sum(header[156:]))
        added = ingested(dataset, bytes(header) + tarred(good(make_image)))
        assert left_out(added) == [("cat/holes.png", "it is not a plain file", "unsafe")]
        assert len(added.images) == 2


class TestLinksAndDevices:
    def test_a_link_in_a_zip(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        buffer = io.BytesIO(zipped(good(make_image)))
        with zipfile.ZipFile(buffer, "a") as archive:
            link = zipfile.ZipInfo("cat/link.png")
            link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, "/etc/passwd")
        added = ingested(dataset, buffer.getvalue())
        assert left_out(added) == [("cat/link.png", "it is only a link to another file", "unsafe")]
        assert len(added.images) == 2

    @pytest.mark.parametrize(
        ("kind", "reason"),
        [
            (tarfile.SYMTYPE, "it is only a link to another file"),
            (tarfile.LNKTYPE, "it is only a link to another file"),
            (tarfile.FIFOTYPE, "it is not a plain file"),
            (tarfile.CHRTYPE, "it is not a plain file"),
            (tarfile.BLKTYPE, "it is not a plain file"),
        ],
        ids=["symlink", "hard link", "pipe", "character device", "block device"],
    )
    def test_in_a_tar(self, dataset: ImageDataset, make_image: MakeImage, kind: bytes, reason: str) -> None:
        member = tarfile.TarInfo("cat/odd.png")
        member.type, member.linkname = kind, "/etc/passwd"
        added = ingested(dataset, member.tobuf() + tarred(good(make_image)))
        assert left_out(added) == [("cat/odd.png", reason, "unsafe")]
        assert len(added.images) == 2


class TestLockedAndCutOff:
    def test_a_locked_zip(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        content = bytearray(zipped({"cat/locked.png": make_image(seed=3), **good(make_image)}))
        content[content.index(b"PK\1\2") + 8] |= 1
        added = ingested(dataset, bytes(content))
        assert left_out(added) == [("cat/locked.png", "it is locked with a password", "unreadable")]
        assert len(added.images) == 2

    @pytest.mark.parametrize("tenth", range(10))
    def test_a_zip_cut_off_at_every_tenth(
        self, dataset: ImageDataset, make_image: MakeImage, tenth: int
    ) -> None:
        content = zipped(good(make_image))
        assert why_refused(dataset, content[: len(content) * tenth // 10]) == NOT_A_ZIP

    @pytest.mark.parametrize(
        "compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"]
    )
    @pytest.mark.parametrize("tenth", range(1, 10))
    def test_a_packed_tar_cut_off_at_every_tenth(
        self, dataset: ImageDataset, make_image: MakeImage, tenth: int, compress: Callable[[bytes], bytes]
    ) -> None:
        content = compress(tarred(good(make_image)))
        assert why_refused(dataset, content[: len(content) * tenth // 10]) == NOT_A_TAR

    @pytest.mark.parametrize("num_bytes", [700, 2000, 5000])
    def test_a_tar_cut_off(self, dataset: ImageDataset, make_image: MakeImage, num_bytes: int) -> None:
        assert why_refused(dataset, tarred(good(make_image))[:num_bytes]) == NOT_A_TAR

    @pytest.mark.parametrize(
        "compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gz", "bz2", "xz"]
    )
    def test_what_is_packed_but_no_tar(
        self, dataset: ImageDataset, make_image: MakeImage, compress: Callable[[bytes], bytes]
    ) -> None:
        assert why_refused(dataset, compress(make_image())) == NOT_A_TAR

    @pytest.mark.parametrize(
        ("pack", "reason"),
        [
            (zipped, "it is damaged inside the zip file"),
            (tarred, "the photo is cut off or damaged"),
        ],
        ids=["zip", "tar"],
    )
    def test_a_damaged_middle_costs_one_file(
        self,
        dataset: ImageDataset,
        make_image: MakeImage,
        pack: Callable[[Members], bytes],
        reason: str,
    ) -> None:
        original = make_image(seed=50, size=(60, 60))
        content = bytearray(pack({"cat/bad.png": original, **good(make_image)}))
        start = content.index(original) + 2000
        content[start : start + 50] = b"\xff" * 50
        added = ingested(dataset, bytes(content))
        assert left_out(added) == [("cat/bad.png", reason, "damaged")]
        assert len(added.images) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        bytes(9999),
    ],
    ids=["nothing", "text", "picture", "zeros"],
)
def test_what_is_no_archive(tmp_path: Path, dataset: ImageDataset, content: bytes) -> None:
    assert why_refused(dataset, content) == NOT_A_ZIP
    (tmp_path / "photos").write_bytes(content)
    with pytest.raises(IngestError) as caught, open_source(tmp_path / "photos"):
        pass
    assert str(caught.value) == NOT_A_ZIP


@pytest.mark.parametrize(
    "members",
    [{}, {"cat/": b"", "dog/": b""}, {".DS_Store": b"1", "__MACOSX/cat/._1.png": b"1"}],
    ids=["nothing", "empty folders", "system files"],
)
def test_an_archive_without_pictures(dataset: ImageDataset, members: Members) -> None:
    assert why_refused(dataset, zipped(members)) == (
        "There are no photos in it. Choose a folder whose subfolders are the classes."
    )
