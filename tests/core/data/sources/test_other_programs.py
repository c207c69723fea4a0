"""Archives of other programs: names in any encoding, ways of packing, formats that are only named."""

from __future__ import annotations

import bz2
import io
import lzma
import random
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.records import Notice
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.name_encoding import read_names
from transfer_core.data.sources.open_source import open_archive, open_source
from transfer_core.data.sources.zip_archive import zip_source
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.workspace import Workspace

MakeImage = Callable[..., bytes]
UTF8 = 0x800
# The same examples in every run.
bounded = settings(max_examples=100, deadline=None, derandomize=True, database=None)


@dataclass
class Member:
    """A member of a zip as bytes; `local_name` and `local_flags` where the copy before the content differs."""

    name: bytes
    content: bytes = b"1"
    flags: int = 0
    method: int = 0
    extra: bytes = b""
    version: int = 20
    local_name: bytes | None = None
    local_flags: int | None = None
    packed: bytes | None = None


def raw_zip(members: Iterable[Member], disk: int = 0) -> bytes:
    body, entries, count = b"", b"", 0
    for member in members:
        packed = member.content if member.packed is None else member.packed
        sizes = (zlib.crc32(member.content), len(packed), len(member.content))
        local_name = member.name if member.local_name is None else member.local_name
        local_flags = member.flags if member.local_flags is None else member.local_flags
        header = (member.version, local_flags, member.method, 0, 33, *sizes, len(local_name), 0)
        offset, count = len(body), count + 1
        body += struct.pack("<4s5H3I2H", b"PK\3\4", *header) + local_name + packed
        facts = (member.version, member.version, member.flags, member.method, 0, 33, *sizes)
        lengths = (len(member.name), len(member.extra), 0, 0, 0, 0, offset)
        entries += struct.pack("<4s6H3I5H2I", b"PK\1\2", *facts, *lengths) + member.name + member.extra
    end = struct.pack("<4s4H2IH", b"PK\5\6", disk, disk, count, count, len(entries), len(body), 0)
    return body + entries + end


def raw_tar(names: Iterable[bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        for name in names:
            member = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            member.size = 1
            archive.addfile(member, io.BytesIO(b"1"))
    return buffer.getvalue()


def opened(*members: Member) -> list[ImportedFile]:
    return zip_source(io.BytesIO(raw_zip(members)), "photos.zip")


def folders(files: Iterable[ImportedFile]) -> list[str]:
    return [file.parts[-2] for file in files]


def notices(files: Iterable[ImportedFile]) -> set[Notice]:
    return {notice for file in files for notice in file.notices}


def why_unreadable(file: ImportedFile) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        file.read()
    return str(caught.value)


def why_refused(content: bytes, name: str = "photos.zip") -> str:
    with pytest.raises(IngestError) as caught, open_archive(io.BytesIO(content), name):
        pass
    return str(caught.value)


# The encodings of each line of names.
NAMES = {
    "苹果 天空 小狗 老虎 狮子 大象 长颈鹿 熊猫 松鼠 青蛙 鲨鱼 蝴蝶 玫瑰 香蕉 葡萄 汽车 飞机 健康 划痕": [
        "gbk"
    ],
    "蘋果 天空 小狗 老虎 獅子 大象 長頸鹿 熊貓 松鼠 青蛙 鯊魚 蝴蝶 玫瑰 香蕉 葡萄 汽車 飛機 健康": ["cp950"],
    "りんご 空 猫 ねこ ライオン 象 キリン パンダ うさぎ 亀 サメ 蝶 バラ 自動車 良品 ソバ ソース 表札": [
        "cp932"
    ],
    "사과 하늘 고양이 강아지 호랑이 사자 코끼리 기린 토끼 거북이 상어 나비 장미 바나나 자동차 정상 불량": [
        "cp949"
    ],
    "яблоко небо кошка собака щенок тигр слон жираф зебра черепаха лягушка роза банан Годен Брак Трещина": [
        *("cp866", "cp1251", "koi8-r"),
    ],
    "Möwe Löwe Bär Käfer Füße Blüte Eichhörnchen Kröte Grünspecht König Größe Gemüse": [
        *("cp437", "cp850", "cp1252"),
    ],
    "niño piña árbol ratón león tiburón jabalí limón plátano águila búho baño camión": [
        *("cp437", "cp850", "cp1252"),
    ],
}
SETS = [(encoding, names.split()) for names, encodings in NAMES.items() for encoding in encodings]
each_set = pytest.mark.parametrize(
    ("encoding", "names"),
    SETS,
    ids=[f"{encoding}-{number}" for number, (encoding, _names) in enumerate(SETS)],
)


class TestEncodings:
    @each_set
    @pytest.mark.parametrize("count", [3, 5, 10])
    def test_names_are_read(self, encoding: str, names: list[str], count: int) -> None:
        for seed in range(20):
            chosen = random.Random(seed).sample(names, count)
            read = read_names([f"{name}/{place}.jpg".encode(encoding) for name in chosen for place in (1, 2)])
            assert read.names[::2] == [f"{name}/1.jpg" for name in chosen]

    @each_set
    @pytest.mark.parametrize("count", [1, 2])
    def test_few_names_are_read_or_in_doubt(self, encoding: str, names: list[str], count: int) -> None:
        for seed in range(20):
            chosen = random.Random(seed).sample(names, count)
            read = read_names([name.encode(encoding) for name in chosen])
            assert read.names == chosen or read.are_in_doubt

    @pytest.mark.parametrize(
        ("names", "encoding"),
        [
            (["联通", "移动"], "gbk"),
            (["一些"], "gbk"),
            (["猫"], "gbk"),
            (["ソバ", "cat"], "cp932"),
            (["jabłko", "łoś"], "cp852"),
            (["НОВАЯ"], "koi8-r"),
            (["γάτα", "σκύλος"], "cp737"),
            (["חתול", "כלב"], "cp862"),
            (["قطة"], "cp1256"),
            (["كلب", "أسد"], "cp720"),
            (["แมว", "สิงโต"], "cp874"),
            (["kuş", "ağaç"], "cp857"),
            (["りんご", "ねこ"], "euc_jp"),
        ],
        ids=str,
    )
    def test_names_are_never_garbled_without_a_word(self, names: list[str], encoding: str) -> None:
        read = read_names([name.encode(encoding) for name in names])
        assert read.names == names or read.are_in_doubt

    @bounded
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
    def test_text_of_three_letters_and_more_in_utf8_is_read(self, names: list[str]) -> None:
        names.append("苹果 мир Füße cat")
        assert read_names([name.encode() for name in names]) == (names, False)

    @bounded
    @given(st.lists(st.binary(max_size=9), max_size=5))
    def test_any_bytes_are_names(self, raw: list[bytes]) -> None:
        assert len(read_names(raw).names) == len(raw)


class TestNamesInZips:
    @each_set
    def test_classes_are_read(self, encoding: str, names: list[str]) -> None:
        chosen = sorted(names[:8])
        files = opened(
            *(
                Member(
                    f"写真/{name}/1.jpg".encode(encoding)
                    if encoding == "cp932"
                    else f"{name}/1.jpg".encode(encoding)
                )
                for name in chosen
            )
        )
        assert folders(files) == chosen
        assert notices(files) == set()
        assert {file.read() for file in files} == {b"1"}

    @pytest.mark.parametrize("separator", ["/", "\\"])
    @pytest.mark.parametrize(
        "names", [["ソバ", "ソース", "表札"], ["能力", "十", "予定"], ["ポスト", "ソ", "構え"]], ids=str
    )
    def test_a_second_byte_of_a_letter_is_no_separator(self, names: list[str], separator: str) -> None:
        files = opened(*(Member(separator.join(["写真", name, "1.jpg"]).encode("cp932")) for name in names))
        assert folders(files) == names

    def test_a_folder_whose_name_ends_in_such_a_letter(self) -> None:
        files = opened(
            Member("りんご/表".encode("cp932")), Member("そら/ソ/".encode("cp932")), Member(b"sky/1")
        )
        assert [file.parts for file in files] == [("りんご", "表"), ("sky", "1")]

    @pytest.mark.parametrize("name", ["苹果", "ソバ", "Füße", "яблоко", "cat"])
    def test_the_flag_counts_most(self, name: str) -> None:
        other = Member("りんご/1.jpg".encode("cp932"))
        assert folders(opened(Member(f"{name}/1.jpg".encode(), flags=UTF8), other)) == [name, "りんご"]

    def test_a_flag_at_one_copy_of_the_name_only(self) -> None:
        raw = "苹果/1.jpg".encode()
        central = Member(raw, flags=UTF8, local_flags=0)
        local = Member("天空/1.jpg".encode(), local_flags=UTF8)
        other = Member(
            "狐狸/1.jpg".encode(), flags=UTF8, local_name="狐狸/1.jpg".encode("gbk"), local_flags=0
        )
        files = opened(central, local, other)
        assert [(file.parts[0], file.read()) for file in files] == [
            ("苹果", b"1"),
            ("天空", b"1"),
            ("狐狸", b"1"),
        ]


def unicode_path(
    raw: bytes, name: str, *, version: int = 1, kind: int = 0x7075, checksum: int | None = None
) -> bytes:
    content = struct.pack("<BL", version, zlib.crc32(raw) if checksum is None else checksum) + name.encode()
    return struct.pack("<HH", kind, len(content)) + content


class TestUnicodePath:
    @pytest.mark.parametrize(
        "before", [b"", b"UT\5\0\3" + bytes(4), b"\1\0\0\0"], ids=["alone", "after a time", "after zip64"]
    )
    @pytest.mark.parametrize("name", ["苹果", "يا", "🦊"])
    def test_it_names_the_member(self, name: str, before: bytes) -> None:
        raw = b"__/1.jpg"
        (file,) = opened(Member(raw, extra=before + unicode_path(raw, f"{name}/1.jpg")))
        assert (file.parts, file.read()) == ((name, "1.jpg"), b"1")

    @pytest.mark.parametrize(
        "extra",
        [
            unicode_path(b"__/1.jpg", "x/1.jpg", checksum=5),
            unicode_path(b"__/1.jpg", "x/1.jpg", version=2),
            unicode_path(b"__/1.jpg", "x/1.jpg", kind=0x6375),
            unicode_path(b"__/1.jpg", ""),
            unicode_path(b"__/1.jpg", "x")[:-1] + b"\xff",
            b"up\3\0\1\2\3",
        ],
        ids=["of another name", "version", "comment", "empty", "no UTF-8", "short"],
    )
    def test_one_that_does_not_fit_does_not(self, extra: bytes) -> None:
        (file,) = opened(Member(b"__/1.jpg", extra=extra))
        assert file.parts == ("__", "1.jpg")

    def test_it_may_not_lead_out_of_the_folder(self) -> None:
        (file,) = opened(Member(b"a/1.jpg", extra=unicode_path(b"a/1.jpg", "../1.jpg")))
        assert why_unreadable(file) == "its path leads out of the folder (..)"


class TestNamesInDoubt:
    def test_the_person_is_informed(self, workspace: Workspace, make_image: MakeImage) -> None:
        names = ["猫".encode("gbk"), b"dog", b"cow"]
        members = [Member(name + b"/1.png", make_image(seed=seed)) for seed, name in enumerate(names)]
        files = opened(*members)
        assert [bool(file.notices) for file in files] == [True, False, False]
        added = add_files(create_dataset(workspace, "Animals"), files)
        (read,) = set(added.class_names) - {"dog", "cow"}
        assert added.notices == (Notice("names_in_doubt", "photos.zip", (read,)),)

    def test_a_few_names_are_shown(self) -> None:
        # Half of a letter each: no encoding makes sense of them.
        raw = [bytes([0x81, 0xFF, place]) for place in range(0x90, 0xA0)]
        (notice,) = notices(opened(*(Member(name + b"/1.jpg") for name in raw)))
        assert len(notice.names) == 5


class TestNamesInTars:
    @each_set
    def test_classes_are_read(self, encoding: str, names: list[str]) -> None:
        content = raw_tar(f"{name}/1.jpg".encode(encoding) for name in names[:8])
        with open_archive(io.BytesIO(content), "photos.tar") as files:
            assert (folders(files), notices(files)) == (names[:8], set())
            assert {file.read() for file in files} == {b"1"}

    def test_a_format_that_says_utf8_is_believed(self) -> None:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in ("é/1.jpg", "ж/1.jpg"):
                archive.addfile(tarfile.TarInfo(name))
        with open_archive(buffer, "photos.tar") as files:
            assert (folders(files), notices(files)) == (["é", "ж"], set())

    def test_doubt_is_passed_on(self) -> None:
        with open_archive(
            io.BytesIO(raw_tar(["猫/1.jpg".encode("gbk"), b"dog/1.jpg"])), "photos.tar"
        ) as files:
            assert [[notice.name for notice in file.notices] for file in files] == [["photos.tar"], []]


PACKINGS = {
    **{1: "Shrink", 6: "Implode", 9: "Deflate64", 93: "Zstandard", 95: "XZ", 97: "WavPack", 98: "PPMd"},
    77: "77",
}


class TestPackings:
    @pytest.mark.parametrize(("method", "way"), PACKINGS.items())
    def test_one_that_cannot_be_read_is_named(self, method: int, way: str) -> None:
        packed, plain = opened(Member(b"cat/1.jpg", method=method), Member(b"cat/2.jpg"))
        assert why_unreadable(packed) == (
            f"its compression ({way}) cannot be read here; pack it as an ordinary zip"
        )
        assert plain.read() == b"1"

    @pytest.mark.parametrize(("method", "way"), PACKINGS.items())
    def test_it_is_said_once_if_all_are_so(self, method: int, way: str) -> None:
        content = raw_zip(
            [Member(b"cat/1.jpg", method=method), Member(b"cat/"), Member(b"dog/1.jpg", method=method)]
        )
        message = why_refused(content)
        assert message.startswith(f"photos.zip is packed in a way that cannot be read here ({way}). ")
        assert ("Windows writes large zips so." in message) == (way == "Deflate64")
        assert "choose the folder" in message

    def test_a_newer_zip_than_is_known(self) -> None:
        assert "a newer one" in why_refused(raw_zip([Member(b"cat/1.jpg", version=80)]))

    @pytest.mark.parametrize(
        ("method", "pack"),
        [
            (0, bytes),
            (8, lambda content: zlib.compress(content, wbits=-15)),
            (12, bz2.compress),
        ],
    )
    def test_ordinary_ones_are_read(self, method: int, pack: Callable[[bytes], bytes]) -> None:
        content = b"meow" * 99
        (file,) = opened(Member(b"cat/1.jpg", content, method=method, packed=pack(content)))
        assert file.read() == content

    def test_lzma_is_read(self) -> None:
        content = b"meow" * 99
        filters = [{"id": lzma.FILTER_LZMA1, "preset": 6, "lc": 3, "lp": 0, "pb": 2, "dict_size": 1 << 16}]
        packed = struct.pack("<BBHBI", 9, 4, 5, 93, 1 << 16) + lzma.compress(
            content, lzma.FORMAT_RAW, filters=filters
        )
        (file,) = opened(Member(b"cat/1.jpg", content, method=14, flags=2, packed=packed))
        assert file.read() == content


LOCKED = "it is locked with a password"


class TestLocked:
    @pytest.mark.parametrize(
        "facts", [{"flags": 1}, {"flags": 0x41}, {"method": 99, "flags": 1}, {"method": 99}], ids=str
    )
    def test_a_locked_member_or_zip(self, facts: dict[str, int]) -> None:
        locked = Member(b"cat/1.jpg", **facts)
        files = opened(locked, Member(b"dog/1.jpg"))
        assert why_unreadable(files[0]) == LOCKED
        assert files[1].read() == b"1"
        assert why_refused(raw_zip([locked, Member(b"dog/")])) == (
            "photos.zip is locked with a password. Unpack it yourself, and choose the folder."
        )


ONE_PART = (
    "is one part of a zip in several parts. Unpack all parts together and choose the folder, or pack it again as one "
    "zip."
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photos.zip", raw_zip([Member(b"cat/1.jpg")], disk=3)),
        ("photos.z01", b"PK\7\x08PK\3\4" + bytes(99)),
        ("photos.Z02", bytes(99)),
        ("photos.zip.002", bytes(99)),
    ],
    ids=["last", "first", "middle", "cut"],
)
def test_a_part_of_a_zip(name: str, content: bytes) -> None:
    assert why_refused(content, name) == f"{name} {ONE_PART}"


OTHER_ARCHIVES = {
    "RAR": b"Rar!\x1a\7\1\0",
    "RAR ": b"Rar!\x1a\7\0",
    "7z": b"7z\xbc\xaf\x27\x1c\0\4",
    "Zstandard": b"\x28\xb5\x2f\xfd",
    "LZ4": b"\4\x22\x4d\x18",
    "cabinet": b"MSCF\0\0\0\0",
    "ISO": bytes(32_769) + b"CD001",
    "LHA": b"\x22\x37-lh5-",
}


@pytest.mark.parametrize("kind", OTHER_ARCHIVES)
def test_an_archive_of_another_format_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "photos").write_bytes(OTHER_ARCHIVES[kind] + bytes(600))
    with pytest.raises(IngestError) as caught, open_source(tmp_path / "photos"):
        pass
    assert str(caught.value) == (
        f"photos is a {kind.strip()} archive, which cannot be read here. Unpack it, then choose the folder or pack it "
        "as a zip."
    )


def test_a_disk_image_of_macos_is_named_by_its_end() -> None:
    assert "is a DMG archive" in why_refused(bytes(2000) + b"koly" + bytes(508))


@pytest.mark.parametrize("ending", ["zip", "ZIP", "rar", "7z", "tar.gz", "tgz"])
def test_archives_beside_each_other_are_to_be_unpacked(dataset: ImageDataset, ending: str) -> None:
    files = [ImportedFile((f"{name}.{ending}",), bytes) for name in ("cats", "dogs")]
    with pytest.raises(IngestError, match="archive; unpack it into the folder of its class"):
        add_files(dataset, files)


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    return create_dataset(workspace, "Animals")
