"""A video becomes photos that are sharp, upright and different, and nothing in it can do harm."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.films import CODECS, SIZE, WITHOUT_PYAV, film, scene
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.similarity import fingerprint, similar_pairs
from transfer_core.data.ingest import add_files, create_dataset
from transfer_core.data.sources import video
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.data.sources.video import sharpness, video_photos
from transfer_core.errors import IngestError
from transfer_core.workspace import Workspace

av = pytest.importorskip("av", reason=WITHOUT_PYAV)


def pictures(photos: Sequence[ImportedFile]) -> list[Image.Image]:
    return [decode_image(photo.read()) for photo in photos]


def is_like(image: Image.Image, other: Image.Image) -> bool:
    difference = np.asarray(image, dtype=float) - np.asarray(other.resize(image.size), dtype=float)
    return float(np.abs(difference).mean()) < 25


@pytest.mark.parametrize("kind", CODECS)
def test_each_kind_of_file_is_read_whatever_its_name_says(kind: str) -> None:
    scenes = [scene(number) for number in range(5) for _repeat in range(4)]
    photos = video_photos(film(scenes, kind), "IMG_1.thing", "mug")
    assert len(photos) == 5
    found = pictures(photos)
    assert all(is_like(image, scene(number)) for number, image in enumerate(found))
    assert [photo.parts for photo in photos] == [(f"IMG_1-00{number}.jpg",) for number in range(1, 6)]
    assert {photo.class_name for photo in photos} == {"mug"}


def test_class_and_video_may_have_the_names_of_hidden_files(workspace: Workspace) -> None:
    photos = video_photos(film([scene(number) for number in range(3)]), ".clip.mp4", ".net")
    assert add_files(create_dataset(workspace, "films"), photos).counts() == {".net": 3}


def test_all_photos_of_a_video_stay_on_one_side_of_the_split(workspace: Workspace) -> None:
    files = [
        photo
        for first, name in enumerate(("one.mp4", "two.mp4", "three.mp4"))
        for photo in video_photos(film([scene(10 * first + number) for number in range(6)]), name, "mug")
    ]
    dataset = add_files(create_dataset(workspace, "films"), files)
    assert len(dataset.images) == 18
    sides = {image.burst: image.split for image in dataset.images}
    assert len(sides) == 3 and set(sides.values()) == {"train", "validation"}
    assert all(sides[image.burst] == image.split for image in dataset.images)


def test_a_single_video_of_a_class_is_validated_on_its_end(workspace: Workspace) -> None:
    files = [
        photo
        for first, name in enumerate(("cup", "mug"))
        for photo in video_photos(film([scene(10 * first + number) for number in range(6)]), name, name)
    ]
    dataset = add_files(create_dataset(workspace, "films"), files)
    dataset.check_trainable()
    assert dataset.classes_of_one_recording == ["cup", "mug"]
    for name in dataset.class_names:
        assert [image.split for image in dataset.images if image.class_name == name][-1] == "validation"


def test_the_same_video_comes_in_once(workspace: Workspace) -> None:
    content = film([scene(number) for number in range(6)])
    dataset = add_files(create_dataset(workspace, "films"), video_photos(content, "a.mp4", "mug"))
    with pytest.raises(IngestError, match="are there already"):
        add_files(dataset, video_photos(content, "a.mp4", "mug"))


def test_blurred_black_and_repeated_frames_are_left_out() -> None:
    sharp = [scene(number) for number in range(8)]
    blurred = [image.filter(ImageFilter.GaussianBlur(12)) for image in map(scene, range(20, 24))]
    black = [Image.new("RGB", SIZE)] * 4
    photos = video_photos(film([*black, *sharp, *blurred, *sharp, *sharp]), "a.mp4", "mug")
    found = pictures(photos)
    assert len(found) == 8
    assert all(any(is_like(image, one) for one in sharp) for image in found)
    assert similar_pairs([fingerprint(image) for image in found]) == []


def test_of_frames_that_are_alike_the_sharpest_is_taken() -> None:
    soft = [scene(1).filter(ImageFilter.GaussianBlur(1.5))] * 3
    (photo,) = video_photos(film([*soft, scene(1), *soft]), "a.mp4", "mug")
    (image,) = pictures([photo])
    grey = np.asarray(image.convert("L"))
    assert sharpness(grey) > 2 * sharpness(np.asarray(soft[0].convert("L")))


def test_the_number_of_photos_is_bounded_and_spread_over_the_video() -> None:
    scenes = [scene(number) for number in range(30)]
    photos = video_photos(film(scenes), "a.mp4", "mug", num_photos=4)
    found = [
        next(number for number, one in enumerate(scenes) if is_like(image, one)) for image in pictures(photos)
    ]
    assert len(found) == 4
    assert found == sorted(found) and found[0] < 4 and found[-1] > 25


@pytest.mark.parametrize(("rotation", "turn"), [(90, "ROTATE_90"), (180, "ROTATE_180"), (-90, "ROTATE_270")])
def test_photos_are_upright(rotation: int, turn: str) -> None:
    (photo,) = video_photos(film([scene(3)] * 5, rotation=rotation), "a.mp4", "mug")
    (image,) = pictures([photo])
    assert is_like(image, scene(3).transpose(Image.Transpose[turn]))


def test_large_frames_are_stored_small() -> None:
    (photo,) = video_photos(film([scene(3, (1536, 768))] * 2), "a.mp4", "mug")
    (image,) = pictures([photo])
    assert image.size == (1024, 512)


def test_a_long_video_is_read_by_its_key_frames_alone() -> None:
    scenes = [scene(number) for number in range(20)]
    soft = [one.filter(ImageFilter.GaussianBlur(1.5)) for one in scenes]
    content = film([image for pair in zip(soft, scenes, scenes, strict=True) for image in pair], gop=3)
    with av.open(content, format="mov") as container:
        is_key = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert is_key == [True, False, False] * 20
    photos = video_photos(content, "a.mp4", "mug", num_photos=5)
    least = min(sharpness(np.asarray(one.convert("L"))) for one in scenes)
    assert len(photos) == 5
    assert all(sharpness(np.asarray(image.convert("L"))) < least / 2 for image in pictures(photos))


def test_of_a_moment_the_sharpest_frame_is_taken() -> None:
    soft = scene(1).filter(ImageFilter.GaussianBlur(1.5))
    moment = [soft, scene(1), soft]
    (photo,) = video_photos(film([*moment, *moment]), "a.mp4", "mug", num_photos=1)
    (image,) = pictures([photo])
    assert sharpness(np.asarray(image.convert("L"))) > 2 * sharpness(np.asarray(soft.convert("L")))


def test_progress_can_end_the_work() -> None:
    class Stopped(Exception):
        pass

    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 5:
            raise Stopped

    with pytest.raises(Stopped):
        video_photos(film([scene(number) for number in range(20)]), "a.mp4", "mug", progress=report)
    assert seen == [(number, 20) for number in range(1, 6)]


def sound_only() -> io.BytesIO:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    return buffer


def cut_off() -> io.BytesIO:
    return io.BytesIO(film([scene(number) for number in range(6)]).getvalue()[:400])


def playlist(start: bytes = b"") -> io.BytesIO:
    return io.BytesIO(start + b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")


BAD: list[tuple[str, Callable[[], io.BytesIO], str]] = [
    ("empty", io.BytesIO, "is not a video that can be read here"),
    ("text", lambda: io.BytesIO(b"no video at all, only words"), "is not a video that can be read here"),
    ("picture", lambda: io.BytesIO(b"\xff\xd8\xff\xe0" + b"\0" * 50), "is not a video that can be read here"),
    ("playlist", playlist, "is not a video that can be read here"),
    (
        "list of files",
        lambda: io.BytesIO(b"ffconcat version 1.0\nfile x\n"),
        "is not a video that can be read",
    ),
    ("playlist in disguise", lambda: playlist(b"\0\0\0\x18ftypisom"), "is damaged or cut off"),
    ("cut off", cut_off, "is damaged or cut off"),
    ("zeros", lambda: io.BytesIO(b"\0\0\0\x18ftypisom" + b"\0" * 5000), "is damaged or cut off"),
    ("sound only", sound_only, "has sound only"),
    ("black", lambda: film([Image.new("RGB", SIZE)] * 4), "has no frame that can be used"),
]


@pytest.mark.parametrize(("content", "reason"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_bad_files_are_one_sentence(content: Callable[[], io.BytesIO], reason: str) -> None:
    with pytest.raises(IngestError, match=f"^holiday.mp4 {reason}"):
        video_photos(content(), "holiday.mp4", "mug")


@pytest.mark.parametrize("seed", range(12))
def test_damaged_bytes_give_photos_or_one_sentence(seed: int) -> None:
    content = bytearray(film([scene(number) for number in range(8)]).getvalue())
    generator = np.random.default_rng(seed)
    for place in generator.integers(32, len(content), 60):
        content[place] = generator.integers(0, 256)
    try:
        photos = video_photos(io.BytesIO(bytes(content)), "a.mp4", "mug")
    except IngestError as error:
        assert str(error).startswith("a.mp4 ")
    else:
        assert all(max(image.size) <= 1024 for image in pictures(photos))


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("VIDEO_MB", "1", "is larger than 1 MB"),
        ("VIDEO_MINUTES", "1", "is longer than 1 minutes"),
        ("MEGAPIXELS", "1", "is too large"),
    ],
)
def test_limits(setting: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    large = film([scene(1, (1504, 800))] * 2)
    slow = film([scene(number) for number in range(70)], rate=1)
    padded = io.BytesIO(film([scene(1)] * 2).getvalue() + b"\0" * 1024**2)
    monkeypatch.setenv(f"TRANSFER_STUDIO_MAX_{setting}", value)
    content = {"VIDEO_MB": padded, "VIDEO_MINUTES": slow, "MEGAPIXELS": large}[setting]
    with pytest.raises(IngestError, match=reason):
        video_photos(content, "a.mp4", "mug")


def test_without_the_package_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "find_spec", lambda _name: None)
    with pytest.raises(IngestError, match=r"pip install -r requirements-video\.txt"):
        video_photos(io.BytesIO(), "a.mp4", "mug")


def test_a_file_on_disk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mug.mp4"
    path.write_bytes(film([scene(number) for number in range(3)]).getvalue())
    with path.open("rb") as file:
        assert len(video_photos(file, path.name, "mug")) == 3
