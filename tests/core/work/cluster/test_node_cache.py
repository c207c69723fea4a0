"""The cache of a node: verified content, bounded bytes, workspaces made of links, and nothing left behind."""

from __future__ import annotations

import errno
import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from transfer_core.backbones.published.zoo_weights import weights_folder
from transfer_core.errors import InsufficientResourcesError, WorkspaceError
from transfer_core.work.cluster import node_cache
from transfer_core.work.cluster import parcel as parcels
from transfer_core.work.cluster.node_cache import FOLDER_VARIABLE, NodeCache, node_bytes, node_folder
from transfer_core.work.cluster.parcel import FileRef, Parcel, piece_key

ID = "20261122-140512-0123456789abcdef"
CONFIG = f"runs/{ID}/config.json"
PHOTO = f"datasets/{ID}/images/{'a' * 32}.jpg"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def parcel_of(files: dict[str, bytes]) -> Parcel:
    return Parcel(tuple(FileRef(path, digest_of(content), len(content)) for path, content in files.items()))


def photos(*contents: bytes) -> dict[str, bytes]:
    return {f"datasets/{ID}/images/{digest_of(content)[:32]}.jpg": content for content in contents}


def fill(cache: NodeCache, files: dict[str, bytes]) -> Parcel:
    parcel = parcel_of(files)
    missing = cache.missing(parcel)
    for content in files.values():
        if digest_of(content) in missing:
            cache.add(digest_of(content), content)
    return parcel


def use(cache: NodeCache, files: dict[str, bytes]) -> None:
    with cache.workspace(fill(cache, files)):
        pass


def stored(folder: Path) -> list[Path]:
    return [path for path in (folder / "files").rglob("*") if path.is_file()]


@pytest.fixture
def cache(tmp_path: Path) -> NodeCache:
    return NodeCache(tmp_path / "node", 10**6)


def test_a_workspace_has_the_files_of_the_job_and_is_deleted_afterwards(cache, tmp_path):
    files = {CONFIG: b"{}", PHOTO: b"photo", "weights/a.h5": b"weights"}
    before = weights_folder()
    with cache.workspace(fill(cache, files)) as workspace:
        assert {path: (workspace.root / path).read_bytes() for path in files} == files
        assert workspace.run_dir(ID) == workspace.root / "runs" / ID
        assert (weights_folder() / "a.h5").read_bytes() == b"weights"
    assert not workspace.root.exists()
    assert not list((tmp_path / "node" / "trash").iterdir())
    assert weights_folder() == before


def test_all_jobs_share_the_features_of_the_node(cache, tmp_path):
    with cache.workspace(fill(cache, {CONFIG: b"{}"})) as workspace:
        (workspace.cache_dir / "features.npy").write_bytes(b"features")
    with cache.workspace(fill(cache, {CONFIG: b"{}"})) as workspace:
        assert (workspace.cache_dir / "features.npy").read_bytes() == b"features"
        assert workspace.cache_dir == (tmp_path / "node" / "cache").resolve()


def test_content_that_is_there_is_not_wanted_again(cache):
    files = photos(b"one", b"two")
    assert cache.missing(parcel_of(files)) == {digest_of(b"one"), digest_of(b"two")}
    use(cache, files)
    assert cache.missing(parcel_of({**files, **photos(b"three")})) == {digest_of(b"three")}


def test_photos_are_links_and_what_a_training_writes_is_a_copy(cache, tmp_path):
    files = {CONFIG: b"{}", PHOTO: b"photo", f"datasets/{ID}/dataset.json": b"{}", "weights/a.h5": b"w"}
    with cache.workspace(fill(cache, files)) as workspace:
        links = {path: (workspace.root / path).stat().st_nlink for path in files}
        assert links == {CONFIG: 1, PHOTO: 2, f"datasets/{ID}/dataset.json": 1, "weights/a.h5": 2}
        with (workspace.root / CONFIG).open("ab") as file:
            file.write(b"more")
    assert cache.missing(parcel_of({CONFIG: b"{}"})) == set()
    with cache.workspace(parcel_of({CONFIG: b"{}"})) as workspace:
        assert (workspace.root / CONFIG).read_bytes() == b"{}"


def test_where_links_are_impossible_files_are_copied(cache, monkeypatch):
    def refuse(*_arguments: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with cache.workspace(fill(cache, {PHOTO: b"photo"})) as workspace:
        assert (workspace.root / PHOTO).read_bytes() == b"photo"
        assert (workspace.root / PHOTO).stat().st_nlink == 1


def test_content_is_verified_on_arrival(cache, tmp_path):
    parcel = parcel_of({PHOTO: b"photo"})
    cache.missing(parcel)
    with pytest.raises(WorkspaceError, match="did not arrive whole"):
        cache.add(digest_of(b"photo"), b"phot0")
    assert not stored(tmp_path / "node")
    assert cache.missing(parcel) == {digest_of(b"photo")}


def test_choices_that_were_damaged_on_the_disk_are_wanted_again(cache, tmp_path):
    files = {CONFIG: b"choices", "weights/a.h5": b"weights"}
    use(cache, files)
    for path in stored(tmp_path / "node"):
        path.write_bytes(bytes(7))
    assert cache.missing(parcel_of(files)) == {digest_of(content) for content in files.values()}
    with cache.workspace(fill(cache, files)) as workspace:
        assert {path: (workspace.root / path).read_bytes() for path in files} == files


def test_a_folder_that_cannot_be_used_is_named_with_its_computer(tmp_path):
    (tmp_path / "node").write_bytes(b"no folder")
    cache = NodeCache(tmp_path / "node", 10**6)
    with pytest.raises(WorkspaceError, match=f"on {platform.node()} .* {FOLDER_VARIABLE}"):
        cache.missing(parcel_of({CONFIG: b"{}"}))


@pytest.mark.parametrize("key", ["../" + "a" * 61, "a" * 63, "", "a" * 64 + "@0", "a" * 64 + "/x"])
def test_a_key_is_a_digest(cache, key, tmp_path):
    with pytest.raises(WorkspaceError):
        cache.add(key, b"")
    assert not stored(tmp_path / "node")


def test_a_large_file_arrives_in_pieces(cache, monkeypatch, tmp_path):
    monkeypatch.setattr(parcels, "CHUNK_BYTES", 4)
    content = b"0123456789"
    digest = digest_of(content)
    parcel = parcel_of({CONFIG: content})
    cache.missing(parcel)
    for offset in (0, 4, 8):
        cache.add(piece_key(digest, offset, 10), content[offset : offset + 4])
    with cache.workspace(parcel) as workspace:
        assert (workspace.root / CONFIG).read_bytes() == content


@pytest.mark.parametrize("offsets", [(4,), (0, 8), (0, 4, 4)])
def test_pieces_out_of_order_are_refused(cache, monkeypatch, offsets):
    monkeypatch.setattr(parcels, "CHUNK_BYTES", 4)
    content = b"0123456789"
    parcel = parcel_of({CONFIG: content})
    cache.missing(parcel)
    with pytest.raises(WorkspaceError):
        for offset in offsets:
            cache.add(piece_key(digest_of(content), offset, 10), content[offset : offset + 4])
    assert cache.missing(parcel) == {digest_of(content)}


def test_a_file_that_was_cut_off_on_the_disk_is_fetched_again(cache, tmp_path):
    use(cache, {PHOTO: b"photo"})
    (path,) = stored(tmp_path / "node")
    path.write_bytes(b"pho")
    assert cache.missing(parcel_of({PHOTO: b"photo"})) == {digest_of(b"photo")}


def test_missing_photos_are_left_out_but_no_other_file(cache):
    parcel = parcel_of({CONFIG: b"{}", PHOTO: b"photo"})
    cache.missing(parcel)
    cache.add(digest_of(b"{}"), b"{}")
    with cache.workspace(parcel) as workspace:
        assert not (workspace.root / PHOTO).exists()
    other = parcel_of({f"runs/{ID}/split.json": b"[]"})
    with pytest.raises(WorkspaceError, match="did not arrive whole"), cache.workspace(other):
        pass


def test_what_was_used_longest_ago_makes_room(tmp_path):
    cache = NodeCache(tmp_path / "node", 30)
    for content in (b"a" * 10, b"b" * 10, b"c" * 10):
        use(cache, photos(content))
    use(cache, photos(b"a" * 10))
    use(cache, photos(b"d" * 10))
    assert {path.read_bytes()[:1] for path in stored(tmp_path / "node")} == {b"a", b"c", b"d"}


def test_nothing_that_a_running_job_has_linked_is_deleted(tmp_path):
    running, other = NodeCache(tmp_path / "node", 15), NodeCache(tmp_path / "node", 15)
    with running.workspace(fill(running, photos(b"a" * 10))), other.workspace(fill(other, photos(b"b" * 10))):
        assert {path.read_bytes()[:1] for path in stored(tmp_path / "node")} == {b"a", b"b"}
    assert sum(path.stat().st_size for path in stored(tmp_path / "node")) <= 15


def test_files_that_wait_for_the_rest_of_their_job_are_not_deleted(tmp_path):
    begun, other = NodeCache(tmp_path / "node", 15), NodeCache(tmp_path / "node", 15)
    files = photos(b"a" * 10, b"e" * 10)
    parcel = parcel_of(files)
    begun.missing(parcel)
    begun.add(digest_of(b"a" * 10), b"a" * 10)
    use(other, photos(b"b" * 10))
    begun.add(digest_of(b"e" * 10), b"e" * 10)
    with begun.workspace(parcel) as workspace:
        assert all((workspace.root / path).is_file() for path in files)


def test_a_disk_that_is_too_small_is_said_with_need_and_free_space(cache, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=250 * 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    parcel = Parcel((FileRef(PHOTO, digest_of(b"x"), 300 * 10**6),))
    with pytest.raises(InsufficientResourcesError, match=r"300 MB .* 200 MB .* 250 MB are free"):
        cache.missing(parcel)


def test_a_small_disk_is_freed_first(cache, monkeypatch, tmp_path):
    use(cache, photos(b"old"))
    usage = shutil.disk_usage("/")

    def free(_path: object) -> object:
        return usage._replace(free=10**9 if not stored(tmp_path / "node") else 1)

    monkeypatch.setattr(shutil, "disk_usage", free)
    cache.missing(parcel_of(photos(b"new")))
    assert not stored(tmp_path / "node")


def test_a_disk_that_is_full_meanwhile_is_said_and_nothing_half_written_is_kept(
    cache, tmp_path, file_size_limit, monkeypatch
):
    content = b"x" * 20_000
    parcel = parcel_of(photos(content))
    cache.missing(parcel)
    monkeypatch.setattr(node_cache, "_DISK_IS_FULL", frozenset({errno.EFBIG}))
    with file_size_limit(4096), pytest.raises(InsufficientResourcesError, match="20 KB"):
        cache.add(digest_of(content), content)
    assert not stored(tmp_path / "node")


KILLED = """
import os, sys
from pathlib import Path
from transfer_core.work.cluster.node_cache import NodeCache
from transfer_core.work.cluster.parcel import FileRef, Parcel
cache = NodeCache(Path(sys.argv[1]), 10**6)
ref = FileRef(sys.argv[2], sys.argv[3], 5)
cache.missing(Parcel((ref,)))
cache.add(sys.argv[3], b"photo")
os._exit(1)
"""


def test_the_next_job_deletes_what_a_killed_job_left_and_spares_a_running_one(tmp_path):
    node = tmp_path / "node"
    subprocess.run([sys.executable, "-c", KILLED, str(node), PHOTO, digest_of(b"photo")], check=False)
    assert len(list((node / "trash").iterdir())) == 1
    running = NodeCache(node, 10**6)
    assert not list((node / "trash").iterdir())
    with running.workspace(fill(running, {PHOTO: b"photo"})) as workspace:
        NodeCache(node, 10**6)
        assert (workspace.root / PHOTO).is_file()


def test_two_copies_of_one_run_do_not_meet(tmp_path):
    first, second = NodeCache(tmp_path / "node", 10**6), NodeCache(tmp_path / "node", 10**6)
    with (
        first.workspace(fill(first, {CONFIG: b"1"})) as one,
        second.workspace(fill(second, {CONFIG: b"2"})) as two,
    ):
        assert (one.root / CONFIG).read_bytes() == b"1"
        assert (two.root / CONFIG).read_bytes() == b"2"


def test_folder_and_size_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFER_STUDIO_NODE_DIR", str(tmp_path))
    monkeypatch.setenv("TRANSFER_STUDIO_NODE_BYTES", "12345")
    assert (node_folder(), node_bytes()) == (tmp_path, 12345)
    monkeypatch.delenv("TRANSFER_STUDIO_NODE_DIR")
    monkeypatch.setenv("TRANSFER_STUDIO_NODE_BYTES", "much")
    assert node_folder().name == "transfer-studio-node"
    assert node_bytes() == 20 * 10**9
