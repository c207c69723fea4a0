"""From dropped files to a dataset: everything good is kept, everything else is named with its reason."""

import errno
import hashlib
import io
import re
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.ingest import add_files, collect_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.zip_archive import zip_source
from transfer_core.errors import IngestError, WorkspaceError
from transfer_core.language import said
from transfer_core.workspace import Workspace

MakeImage = Callable[..., bytes]
NO_CLASSES = (
    "There are no subfolders in it, so the classes are unknown. Make one folder for each class. "
    "Then choose the folder around them."
)
ODD_NAMES = [
    "狐狸",
    "ثعلب",
    "fox 🦊",
    "x" * 255,
    "a\u202eb",
    "tab\there",
    "-rf",
    "con",
    "a.",
    "'; DROP",
    "%2e%2e",
    "~",
]


def file_of(path: str, content: bytes) -> ImportedFile:
    return ImportedFile(tuple(path.split("/")), lambda: content)


def reasons(dataset: ImageDataset) -> dict[str, str]:
    return {file.name: said(file.reason) for file in dataset.left_out}


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    """A dataset without images."""
    return create_dataset(workspace, "Animals")


@pytest.fixture
def filled(dataset: ImageDataset, make_image: MakeImage) -> ImageDataset:
    """Two cats and two dogs, saved."""
    return add_files(
        dataset, [file_of(f"{name}/{name}.png", make_image(seed=ord(name[0]))) for name in "abcd"]
    )


class TestCreate:
    def test_nothing_is_on_disk_yet(self, workspace: Workspace) -> None:
        create_dataset(workspace, "Animals")
        assert workspace.dataset_ids() == []

    @pytest.mark.parametrize(("name", "title"), [("Animals", "Animals"), (" \u200b ", "My photos")])
    def test_its_name_is_clean(self, workspace: Workspace, name: str, title: str) -> None:
        assert create_dataset(workspace, name).name == title


class TestAdd:
    def test_a_folder_becomes_a_dataset(
        self, workspace: Workspace, dataset: ImageDataset, image_folder: Path
    ) -> None:
        added = add_files(dataset, folder_source(image_folder))
        assert added.counts() == {"blue": 8, "green": 8, "red": 8}
        assert added.left_out == ()
        assert added.images[0].name == "blue-0.jpg"
        assert ImageDataset.load(workspace, added.id) == added
        added.check_trainable()

    def test_each_image_is_stored_once_under_the_hash_of_its_pixels(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        content = make_image(seed=3)
        added = add_files(dataset, [file_of("cat/1.png", content), file_of("cat/2.png", content)])
        pixels = decode_image(content)
        expected = hashlib.sha256(b"40x32" + pixels.tobytes()).hexdigest()[:32]
        assert [image.id for image in added.images] == [expected]
        assert [path.name for path in (dataset.folder / "images").iterdir()] == [f"{expected}.jpg"]
        with Image.open(added.image_path(added.images[0])) as stored:
            assert (stored.format, stored.size) == ("JPEG", (40, 32))

    def test_the_shape_counts_as_well_as_the_pixels(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        files = [
            file_of(f"cat/{size[0]}.png", make_image(size=size, noise=0)) for size in ((16, 32), (32, 16))
        ]
        assert len(add_files(dataset, files).images) == 2

    def test_a_label_may_be_given_for_all(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        files = [file_of("1.png", make_image(seed=1)), file_of("other/2.png", make_image(seed=2))]
        assert add_files(dataset, files, class_name=" My\ncat ").class_names == ("My cat",)

    def test_adding_to_what_is_there(
        self, workspace: Workspace, filled: ImageDataset, make_image: MakeImage
    ) -> None:
        grown = add_files(filled, [file_of("a/new.png", make_image(seed=1)), file_of("a/no.png", b"text")])
        assert grown.counts() == {"a": 2, "b": 1, "c": 1, "d": 1}
        assert [image.id for image in grown.images[:4]] == [image.id for image in filled.images]
        assert grown.version == filled.version + 1
        grown = add_files(grown, [file_of("e/new.png", make_image(seed=2)), file_of("e/no.png", b"")])
        assert grown.class_names == ("a", "b", "c", "d", "e")
        assert list(reasons(grown)) == ["a/no.png", "e/no.png"]
        assert ImageDataset.load(workspace, filled.id) == grown

    def test_progress_counts_every_file_once(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        files = [file_of(f"cat/{number}.png", make_image(seed=number)) for number in range(5)]
        files += [file_of("cat/.DS_Store", b""), file_of("cat/bad.png", b"text")]
        counted: list[tuple[int, int]] = []
        add_files(dataset, files, progress=lambda done, total: counted.append((done, total)))
        assert counted == [(done, 7) for done in range(1, 8)]

    def test_a_part_is_collected_without_saving(
        self, workspace: Workspace, filled: ImageDataset, make_image: MakeImage
    ) -> None:
        assert collect_files(filled, [file_of("a/no.png", b"text")]).images == filled.images
        collected = collect_files(filled, [file_of("a/new.png", make_image(seed=1))])
        assert len(collected.images) == 5
        assert ImageDataset.load(workspace, filled.id) == filled


class TestClasses:
    @pytest.mark.parametrize(
        "names",
        [
            ["A", "a", "B", "b"],
            ["Cat", "cat", "CAT"],
            ["straße", "STRASSE"],
            ["\u0130", "i", "I", "\u0131"],
            ["\u03c3", "\u03c2", "\u03a3"],
            ["a b", "a_b", "a-b", "ab", "a.b"],
            ["x" * 254 + "1", "x" * 254 + "2"],
            ["e\u0301", "e"],
            ["a\u200db", "ab"],
        ],
        ids=ascii,
    )
    def test_names_that_differ_at_all_are_classes_of_their_own(
        self, dataset: ImageDataset, make_image: MakeImage, names: list[str]
    ) -> None:
        files = [file_of(f"{name}/1.png", make_image(seed=number)) for number, name in enumerate(names)]
        added = add_files(dataset, files)
        assert list(added.counts().values()) == [1] * len(names)
        again = [file_of(f"{name}/2.png", make_image(seed=9 + number)) for number, name in enumerate(names)]
        assert list(add_files(added, again).counts().values()) == [2] * len(names)

    def test_a_name_too_long_for_a_disk_is_refused_and_not_cut(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        files = [file_of(f"{'x' * 255}{end}/1.png", make_image(seed=seed)) for seed, end in enumerate("ab")]
        files.append(file_of(f"{'x' * 255}/1.png", make_image(seed=3)))
        added = add_files(dataset, files)
        assert added.counts() == {"x" * 255: 1}
        assert set(reasons(added).values()) == {"the name of its class has more than 255 letters"}
        assert len(list(dataset.folder.rglob("*.jpg"))) == 1
        with pytest.raises(IngestError, match="more than 255 letters"):
            add_files(create_dataset(Workspace(dataset.folder / "other"), "Animals"), files[:2])

    def test_both_unicode_forms_are_one_class(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        forms = [unicodedata.normalize(form, "Füchse") for form in ("NFD", "NFC")]
        files = [file_of(f"{name}/1.png", make_image(seed=number)) for number, name in enumerate(forms)]
        assert add_files(dataset, files).counts() == {"Füchse": 2}

    @pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
    def test_an_odd_name_never_touches_a_path(
        self, tmp_path: Path, dataset: ImageDataset, make_image: MakeImage, name: str
    ) -> None:
        before = files_below(tmp_path)
        added = add_files(dataset, [ImportedFile((name, f"{name}.png"), lambda: make_image())])
        assert len(added.class_names) == 1
        assert added.class_names[0].isprintable()
        new = {path.relative_to(dataset.folder).as_posix() for path in files_below(tmp_path) - before}
        assert new == {"dataset.json", "dataset.json.lock", f"images/{added.images[0].id}.jpg"}

    def test_odd_names_on_disk(self, tmp_path: Path, dataset: ImageDataset, make_image: MakeImage) -> None:
        for number, name in enumerate(ODD_NAMES):
            (tmp_path / "odd" / name).mkdir(parents=True)
            (tmp_path / "odd" / name / "1.png").write_bytes(make_image(seed=number))
        added = add_files(dataset, folder_source(tmp_path / "odd"))
        assert len(added.class_names) == len(ODD_NAMES)
        assert added.left_out == ()

    def test_one_class_alone_comes_in_but_cannot_be_learned_from(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        added = add_files(dataset, [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(3)])
        with pytest.raises(IngestError, match=r"^There is only one class: cat\."):
            added.check_trainable()


class TestLeftOut:
    def test_everything_good_is_kept_and_everything_else_is_named(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        good = make_image(seed=1)

        def fail() -> NoReturn:
            raise OSError

        files = [
            file_of("cat/empty.jpg", b""),
            file_of("cat/notes.txt", b"hello"),
            file_of("cat/page.jpg", b"<html></html>"),
            file_of("cat/cut.png", good[:200]),
            file_of("cat/tiny.png", make_image(size=(4, 4))),
            file_of("loose.png", make_image(seed=5)),
            file_of("cat/.DS_Store", b"x"),
            file_of("__MACOSX/cat/._good.png", good),
            ImportedFile(("cat", "Thumbs.db"), fail),
            file_of("cat/good.png", good),
        ]
        added = add_files(dataset, files)
        assert [image.name for image in added.images] == ["good.png"]
        assert reasons(added) == {
            "cat/empty.jpg": "the file is empty (0 bytes)",
            "cat/notes.txt": "it is not a photo, whatever its name says",
            "cat/page.jpg": "it is a web page, not a photo",
            "cat/cut.png": "the photo is cut off or damaged",
            "cat/tiny.png": "it is too small (4 × 4 pixels; each side needs 8)",
            "loose.png": "it is not in a class folder",
            "cat/.DS_Store": "it belongs to the operating system",
            "__MACOSX/cat/._good.png": "it belongs to the operating system",
            "cat/Thumbs.db": "it belongs to the operating system",
        }
        assert [file.name for file in added.left_out if file.kind == "system"] == [
            "cat/.DS_Store",
            "__MACOSX/cat/._good.png",
            "cat/Thumbs.db",
        ]

    def test_the_content_counts_not_the_ending(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        assert len(add_files(dataset, [file_of("cat/photo.txt", make_image())]).images) == 1

    def test_duplicates_within_a_class_and_across_classes(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        same, recoded = make_image(seed=1), make_image(seed=1, image_format="BMP")
        files = [
            file_of("cat/first.png", same),
            file_of("cat/second.png", same),
            file_of("cat/third.bmp", recoded),
            file_of("dog/fourth.png", same),
            file_of("Cat/fifth.png", same),
            file_of("dog/other.png", make_image(seed=2)),
        ]
        added = add_files(dataset, files)
        assert added.counts() == {"cat": 1, "dog": 1}
        assert reasons(added) == {
            "cat/second.png": "the same photo is there already (first.png)",
            "cat/third.bmp": "the same photo is there already (first.png)",
            "dog/fourth.png": "the same photo is already in the class cat (first.png)",
            "Cat/fifth.png": "the same photo is already in the class cat (first.png)",
        }

    def test_a_picture_that_came_in_earlier_is_known(
        self, filled: ImageDataset, make_image: MakeImage
    ) -> None:
        files = [file_of("b/again.png", make_image(seed=ord("a"))), file_of("b/new.png", make_image(seed=1))]
        assert reasons(add_files(filled, files)) == {
            "b/again.png": "the same photo is already in the class a (a.png)"
        }

    def test_a_locked_or_damaged_member_does_not_cost_the_others(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
            for number in range(3):
                archive.writestr(f"cat/{number}.png", make_image(seed=number))
        content = bytearray(buffer.getvalue())
        content[content.index(b"PK\1\2") + 8] |= 1
        start = content.index(b"cat/1.png") + 30
        content[start : start + 60] = b"\xff" * 60
        added = add_files(dataset, zip_source(io.BytesIO(bytes(content)), "a.zip"))
        assert [image.name for image in added.images] == ["2.png"]
        assert reasons(added) == {
            "cat/0.png": "it is locked with a password",
            "cat/1.png": "it is damaged inside the zip file",
        }


class TestNothingUsable:
    @pytest.mark.parametrize(
        ("paths", "message"),
        [
            ([], "There are no photos in it. Choose a folder whose subfolders are the classes."),
            (
                ["cat/.DS_Store", "__MACOSX/cat/1.jpg"],
                "There are no photos in it. Choose a folder whose subfolders are the classes.",
            ),
            (["1.jpg", "2.jpg", "Thumbs.db"], NO_CLASSES),
            (
                [".DS_Store", "cat/1.jpg", "cat/2.jpg", "3.jpg"],
                "None of the 3 files can be used. The first one, cat/1.jpg: it is not a photo, whatever its name "
                "says.",
            ),
        ],
    )
    def test_it_is_said_why(
        self, workspace: Workspace, dataset: ImageDataset, paths: list[str], message: str
    ) -> None:
        with pytest.raises(IngestError) as caught:
            add_files(dataset, [file_of(path, b"text") for path in paths])
        assert str(caught.value) == message
        assert workspace.dataset_ids() == []

    def test_what_came_in_before_is_no_mistake(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        files = [file_of("cat/1.png", make_image(seed=1)), file_of("dog/2.png", make_image(seed=2))]
        added = add_files(dataset, files)
        with pytest.raises(IngestError) as caught:
            add_files(added, files)
        assert str(caught.value) == "All of these photos are there already. Nothing was added."

    def test_the_dataset_is_as_it_was(self, workspace: Workspace, filled: ImageDataset) -> None:
        with pytest.raises(IngestError):
            add_files(filled, [file_of("cat/1.jpg", b"text")])
        assert ImageDataset.load(workspace, filled.id) == filled


class TestHostileZip:
    def test_nothing_is_written_outside_the_dataset(
        self, tmp_path: Path, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        absolute = f"{tmp_path}/absolute.png"
        names = [
            "good.png",
            "../../up.png",
            absolute,
            "..\\back.png",
            "C:\\drive\\d.png",
            "\\\\host\\e.png",
            "..",
        ]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for number, name in enumerate(names):
                archive.writestr(zipfile.ZipInfo(name), make_image(seed=number))
        before = files_below(tmp_path)
        added = add_files(dataset, zip_source(buffer, "a.zip"), class_name="cat")
        assert [image.name for image in added.images] == ["good.png"]
        assert {file.kind for file in added.left_out} == {"unsafe"}
        new = {path.relative_to(dataset.folder).as_posix() for path in files_below(tmp_path) - before}
        assert all(re.fullmatch(r"dataset\.json(\.lock)?|images/[0-9a-f]{32}\.jpg", name) for name in new)


class TestFullDisk:
    def fill_disk_after(self, monkeypatch: pytest.MonkeyPatch, num_files: int) -> None:
        original = Path.write_bytes
        written: list[Path] = []

        def write(path: Path, content: bytes) -> int:
            if len(written) >= num_files:
                original(path, content[:10])
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(path)
            return original(path, content)

        monkeypatch.setattr(Path, "write_bytes", write)

    @pytest.mark.parametrize("num_files", [0, 2, 3], ids=["first image", "third image", "facts"])
    def test_the_dataset_is_as_it_was(
        self,
        workspace: Workspace,
        filled: ImageDataset,
        make_image: MakeImage,
        monkeypatch: pytest.MonkeyPatch,
        num_files: int,
    ) -> None:
        before = (filled.folder / "dataset.json").read_bytes()
        self.fill_disk_after(monkeypatch, num_files)
        files = [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(3)]
        with pytest.raises(WorkspaceError, match="No space left on device"):
            add_files(filled, files)
        assert (filled.folder / "dataset.json").read_bytes() == before
        assert ImageDataset.load(workspace, filled.id) == filled
        assert not [path for path in files_below(filled.folder) if path.name.startswith(".")]
        for image in filled.images:
            decode_image(filled.image_path(image).read_bytes())

    def test_photos_that_came_in_before_are_deleted_again(
        self, filled: ImageDataset, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = files_below(filled.folder)
        self.fill_disk_after(monkeypatch, 2)
        files = [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(3)]
        with pytest.raises(WorkspaceError, match="No space left on device"):
            add_files(filled, files)
        assert files_below(filled.folder) == before

    def test_photos_of_another_window_are_kept(
        self,
        workspace: Workspace,
        filled: ImageDataset,
        make_image: MakeImage,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        files = [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(2)]

        def save_in_another_window(done: int, _total: int) -> None:
            if done == 1:
                add_files(filled, files[:1])
                raise WorkspaceError("full")

        with pytest.raises(WorkspaceError, match="full"):
            add_files(filled, files, progress=save_in_another_window)
        after = ImageDataset.load(workspace, filled.id)
        assert len(after.images) == len(filled.images) + 1
        assert all(after.image_path(image).is_file() for image in after.images)

    @pytest.mark.parametrize("num_files", [0, 2, 3], ids=["first image", "third image", "facts"])
    def test_nothing_is_left_of_a_new_dataset(
        self,
        workspace: Workspace,
        dataset: ImageDataset,
        make_image: MakeImage,
        monkeypatch: pytest.MonkeyPatch,
        num_files: int,
    ) -> None:
        self.fill_disk_after(monkeypatch, num_files)
        files = [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(3)]
        with pytest.raises(WorkspaceError, match="No space left on device"):
            add_files(dataset, files)
        assert list(workspace.datasets_dir.iterdir()) == []

    @pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("a bug")])
    def test_nothing_is_left_of_a_new_dataset_that_broke_off(
        self, workspace: Workspace, dataset: ImageDataset, make_image: MakeImage, error: BaseException
    ) -> None:
        def break_off(_done: int, _total: int) -> None:
            raise error

        files = [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(20)]
        with pytest.raises(type(error)):
            add_files(dataset, files, progress=break_off)
        assert list(workspace.datasets_dir.iterdir()) == []
        # The person tries once more.
        assert len(add_files(dataset, files).images) == 20

    def test_two_windows_do_not_fill_one_new_dataset(
        self, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        collected = collect_files(dataset, [file_of("cat/1.png", make_image(seed=1))])
        with pytest.raises(WorkspaceError, match="Another window is adding these photos"):
            collect_files(dataset, [file_of("cat/2.png", make_image(seed=2))])
        assert len(collected.save().images) == 1

    def test_a_folder_that_cannot_be_made(
        self, dataset: ImageDataset, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_arguments: object, **_options: object) -> NoReturn:
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(WorkspaceError, match="Read-only file system"):
            add_files(dataset, [file_of("cat/1.png", make_image())])

    def test_it_goes_on_when_there_is_space_again(
        self, filled: ImageDataset, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        files = [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(3)]
        with monkeypatch.context() as full:
            self.fill_disk_after(full, 2)
            with pytest.raises(WorkspaceError):
                add_files(filled, files)
        assert add_files(filled, files).counts()["cat"] == 3


def test_a_real_set_comes_in_whole(workspace: Workspace, shared_data: Path) -> None:
    files = folder_source(shared_data / "trash")[::25]
    added = add_files(create_dataset(workspace, "Trash"), files)
    assert len(added.images) + len(added.left_out) == len(files)
    assert len(added.images) > 0.9 * len(files)
    added.check_trainable()
