"""Untrainable and oversized datasets and full disks: reported, without losing readable photos."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources.folder import folder_source
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.open_source import open_archive, open_source
from transfer_core.errors import IngestError, WorkspaceError
from transfer_core.language import said
from transfer_core.workspace import Workspace

MakeImage = Callable[..., bytes]
ROOT = Path(__file__).resolve().parents[4]
NO_PICTURES = "There are no photos in it. Choose a folder whose subfolders are the classes."
FULL = (
    "could not be saved: No space left on device. An earlier version of it was kept. Free some space "
    "or choose another workspace folder, then try again."
)


def file_of(path: str, content: bytes) -> ImportedFile:
    return ImportedFile(tuple(path.split("/")), lambda: content)


def why_refused(read: Callable[[], object]) -> str:
    with pytest.raises(IngestError) as caught:
        read()
    return str(caught.value)


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    return create_dataset(workspace, "Animals")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that holds one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if not mount or sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only the administrator of a Linux machine can make a small file system")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True)
    if made.returncode:
        pytest.skip("this machine does not let a file system be made")
    yield place
    subprocess.run(["umount", str(place)], check=True)


class TestFolders:
    @pytest.mark.parametrize("folders", [[], ["cat", "dog"], ["train/cat", "val/cat"]], ids=str)
    def test_empty_ones(self, tmp_path: Path, dataset: ImageDataset, folders: list[str]) -> None:
        (tmp_path / "photos").mkdir()
        for folder in folders:
            (tmp_path / "photos" / folder).mkdir(parents=True)
        assert why_refused(lambda: add_files(dataset, folder_source(tmp_path / "photos"))) == NO_PICTURES
        assert not dataset.folder.exists()

    def test_one_class(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        added = add_files(dataset, [file_of(f"cat/{seed}.png", make_image(seed=seed)) for seed in range(3)])
        assert why_refused(added.check_trainable) == (
            "There is only one class: cat. A model needs at least two classes. Add photos of another class."
        )

    def test_a_class_with_one_image(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        paths = ["cat/1.png", "cat/2.png", "dog/1.png"]
        added = add_files(dataset, [file_of(path, make_image(seed=n)) for n, path in enumerate(paths)])
        assert why_refused(added.check_trainable) == (
            "Each class needs at least 2 photos, better 10 or more. Add photos to: dog."
        )
        assert added.counts() == {"cat": 2, "dog": 1}

    def test_twenty_thousand_files_in_one_class(self, dataset: ImageDataset, make_image: MakeImage) -> None:
        good = {seed: make_image(seed=seed, size=(8, 8)) for seed in (0, 9_999, 19_999)}
        files = [file_of(f"cat/{number:05}.png", good.get(number, b"")) for number in range(20_000)]
        added = add_files(dataset, files)
        assert added.counts() == {"cat": 3}
        reasons = {(said(file.reason), file.kind) for file in added.left_out}
        assert reasons == {("the file is empty (0 bytes)", "damaged")}
        assert len(added.left_out) == 19_997

    def test_more_files_than_are_taken(
        self, tmp_path: Path, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_FILES", "100")
        for number in range(101):
            (tmp_path / f"{number}.png").touch()
        assert why_refused(lambda: folder_source(tmp_path)) == (
            "There are more than 100 files, the most that is taken at once. Split them and add the parts. (The limit "
            "is the setting TRANSFER_STUDIO_MAX_FILES.)"
        )

    def test_names_on_disk_that_are_not_unicode(
        self, tmp_path: Path, dataset: ImageDataset, make_image: MakeImage
    ) -> None:
        name = os.fsdecode("狐狸".encode("gbk"))
        try:
            (tmp_path / "photos" / name).mkdir(parents=True)
        except (OSError, UnicodeEncodeError):
            pytest.skip("this disk only takes names in Unicode")
        (tmp_path / "photos" / name / "1.png").write_bytes(make_image(seed=1))
        (tmp_path / "photos" / "cat").mkdir()
        (tmp_path / "photos" / "cat" / "1.png").write_bytes(make_image(seed=2))
        added = add_files(dataset, folder_source(tmp_path / "photos"))
        assert added.counts() == {"cat": 1, "狐狸": 1}
        assert [file.location for file in folder_source(tmp_path / "photos") if file.parts[0] == "狐狸"] == [
            tmp_path / "photos" / name / "1.png"
        ]


class TestFullDisk:
    def test_half_way(self, small_disk: Path, make_image: MakeImage) -> None:
        workspace = Workspace(small_disk)
        photos = [file_of(f"cat/{n}.png", make_image(seed=n, size=(200, 200), noise=120)) for n in range(60)]
        before = add_files(create_dataset(workspace, "Animals"), photos[:2])
        with pytest.raises(WorkspaceError) as caught:
            add_files(before, photos)
        name, _, rest = str(caught.value).partition(" ")
        assert (name.endswith(".jpg"), rest) == (True, FULL)
        kept = ImageDataset.load(workspace, before.id)
        assert kept == before
        for image in kept.images:
            decode_image(kept.image_path(image).read_bytes())
        assert not [path for path in small_disk.rglob(".*") if path.is_file()]

    def test_while_a_packed_tar_is_unpacked(
        self, small_disk: Path, dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            member = tarfile.TarInfo("cat/1.jpg")
            member.size = 3_000_000
            archive.addfile(member, io.BytesIO(bytes(range(250)) * 12_000))
        content = gzip.compress(buffer.getvalue())

        def read() -> None:
            with open_archive(io.BytesIO(content), "photos.tgz") as files:
                add_files(dataset, files)

        assert why_refused(read) == (
            "photos.tgz could not be unpacked: No space left on device. Free some space, or unpack it yourself and "
            "choose the folder."
        )
        assert list(small_disk.iterdir()) == []
        assert not dataset.folder.exists()


def test_not_enough_memory_half_way_keeps_the_small_pictures(tmp_path: Path, make_image: MakeImage) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux holds a process to a limit on memory")
    for number in range(3):
        (tmp_path / "photos" / "cat").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / "cat" / f"{number}.png").write_bytes(make_image(seed=number))
    script = """
        import resource, sys
        from pathlib import Path
        from PIL import Image
        from transfer_core.data.ingest import add_files, create_dataset
        from transfer_core.data.sources.open_source import open_source
        from transfer_core.language import said
        from transfer_core.workspace import Workspace
        root = Path(sys.argv[1])
        # What is imported only when it is needed is there before memory becomes scarce.
        with open_source(root / "photos") as files:
            add_files(create_dataset(Workspace(root / "before"), "Cats"), files)
        Image.new("RGB", (8000, 8000)).save(root / "photos/cat/huge.png", compress_level=1)
        taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + 170_000_000,) * 2)
        with open_source(root / "photos") as files:
            added = add_files(create_dataset(Workspace(root), "Cats"), files)
        print(added.counts(), [(file.name, said(file.reason), file.kind) for file in added.left_out])
    """
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        capture_output=True,
        text=True,
    )
    assert (finished.stdout, finished.stderr) == (
        "{'cat': 3} [('cat/huge.png', 'there was not enough memory to read it; close other programs and add it "
        "again', 'unreadable')]\n",
        "",
    )


def test_existing_images_are_kept_when_nothing_can_be_used(
    tmp_path: Path, workspace: Workspace, dataset: ImageDataset, make_image: MakeImage
) -> None:
    filled = add_files(dataset, [file_of("cat/1.png", make_image(seed=1))])
    before = {path: path.read_bytes() for path in dataset.folder.rglob("*") if path.is_file()}
    (tmp_path / "photos.zip").write_bytes(b"no zip")

    def read() -> None:
        with open_source(tmp_path / "photos.zip") as files:
            add_files(filled, files)

    assert why_refused(read).startswith("photos.zip is not a zip file")
    assert {path: path.read_bytes() for path in dataset.folder.rglob("*") if path.is_file()} == before
    assert ImageDataset.load(workspace, filled.id) == filled
