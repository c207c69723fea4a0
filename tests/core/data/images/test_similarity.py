"""Near-duplicates, frames of one recording, and files of one original."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance

from transfer_core.data.images import similarity
from transfer_core.data.images.decoding import decode_image
from transfer_core.data.images.similarity import (
    channel_statistics,
    fingerprint,
    groups_of,
    linked,
    near_duplicates,
    original_name,
    similar_pairs,
)
from transfer_core.data.records import ImageRecord
from transfer_core.data.samples import get_sample

Change = Callable[[Image.Image], Image.Image]
MakePhoto = Callable[..., Image.Image]


def compressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=50)
    return Image.open(buffer).convert("RGB")


def halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BILINEAR)


def brightened(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.2)


def sent(image: Image.Image) -> Image.Image:
    return compressed(halved(brightened(image)))


def trimmed(image: Image.Image) -> Image.Image:
    across, down = round(0.02 * image.width), round(0.02 * image.height)
    return image.crop((across, down, image.width - across, image.height - down))


def are_similar(first: Image.Image, second: Image.Image) -> bool:
    return bool(similar_pairs([fingerprint(first), fingerprint(second)]))


def record(
    name: str, *, text: str = "", class_name: str = "cat", burst: str = "", width: int = 0
) -> ImageRecord:
    return ImageRecord(
        f"id-{name}", class_name, name, fingerprint=text, burst=burst, width=width, height=width
    )


@pytest.mark.parametrize("change", [compressed, halved, brightened, sent, trimmed])
def test_a_copy_is_found(change: Change, make_photo: MakePhoto) -> None:
    missed = [seed for seed in range(20) if not are_similar(make_photo(seed), change(make_photo(seed)))]
    assert missed == []


def test_pictures_of_different_things_are_not_alike(make_photo: MakePhoto) -> None:
    assert similar_pairs([fingerprint(make_photo(seed)) for seed in range(60)]) == []


def test_a_drawing_so_bright_that_its_colors_are_cut_off_is_found_by_its_shapes() -> None:
    drawings = [decode_image(file.read()) for file in get_sample("pictures").files()[::4]]
    found = [are_similar(drawing, brightened(drawing)) for drawing in drawings]
    assert sum(found) >= 0.9 * len(found)


def test_things_under_the_same_lamp_are_not_the_same() -> None:
    """Light and shadow make up nearly all of such a photo; what lies in the middle makes it another one."""
    lamp = np.clip(np.linspace(60, 260, 160)[None, :] - np.linspace(0, 40, 120)[:, None], 0, 255)

    def under_the_lamp(seed: int) -> Image.Image:
        image = Image.fromarray(lamp.astype(np.uint8)).convert("RGB")
        random = np.random.default_rng(seed)
        corners = [(50 + x, 30 + y) for x, y in random.integers(0, 60, (4, 2)).tolist()]
        ImageDraw.Draw(image).polygon(corners, fill=(40, 60, 90))
        return image

    texts = [fingerprint(under_the_lamp(seed)) for seed in range(12)]
    assert similar_pairs(texts) == []


@pytest.mark.parametrize("name", ["pictures", "digits"])
def test_simple_drawings_are_not_taken_for_copies(name: str) -> None:
    """The coarse bits alone would link more than a hundred of these digits."""
    texts = [fingerprint(decode_image(file.read())) for file in get_sample(name).files()]
    assert all(texts)
    assert similar_pairs(texts) == []


def test_the_coarse_bits_alone_would_link_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "FINE_AND_COLOR_LIMITS", ((256, 2.0),))
    texts = [fingerprint(decode_image(file.read())) for file in get_sample("digits").files()]
    assert len(similar_pairs(texts)) > 50


def test_photos_are_not_taken_for_copies_but_two_shots_of_one_thing_are(shared_data: Path) -> None:
    paths = sorted((shared_data / "trash" / "metal").iterdir())
    texts = [fingerprint(decode_image(path.read_bytes())) for path in paths]
    found = [(paths[first].name, paths[second].name) for first, second in similar_pairs(texts)]
    assert found == [("metal120.jpg", "metal50.jpg")]


def test_the_same_drawing_in_another_color_is_another_picture() -> None:
    def light(color: str) -> Image.Image:
        image = Image.new("RGB", (80, 80), "white")
        ImageDraw.Draw(image).ellipse((20, 10, 60, 70), fill=color)
        return image

    assert not are_similar(light("red"), light("green"))
    assert are_similar(light("red"), compressed(light("red")))


def test_pictures_with_nothing_on_them_are_like_no_other() -> None:
    assert fingerprint(Image.new("RGB", (64, 64), "grey")) == ""
    assert similar_pairs(["", "", ""]) == []


def test_a_mirrored_picture_may_mean_something_else(make_photo: MakePhoto) -> None:
    assert not are_similar(make_photo(1), make_photo(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def test_all_are_compared_with_all(monkeypatch: pytest.MonkeyPatch, make_photo: MakePhoto) -> None:
    monkeypatch.setattr(similarity, "_DISTANCES_AT_ONCE", 100)
    monkeypatch.setattr(similarity, "_PAIRS_AT_ONCE", 3)
    texts = [fingerprint(make_photo(seed)) for seed in range(40)]
    texts[37], texts[11] = fingerprint(sent(make_photo(2))), fingerprint(compressed(make_photo(2)))
    texts[39] = texts[20]
    assert sorted(map(sorted, linked(40, similar_pairs(texts)))) == [[2, 11, 37], [20, 39]]


def test_thousands_of_frames_of_one_still_scene_take_few_pairs(make_photo: MakePhoto) -> None:
    random = np.random.default_rng(0)
    content = np.frombuffer(bytes.fromhex(fingerprint(make_photo(0))), dtype=np.uint8)
    frames = np.repeat(content[None].astype(int), 3000, axis=0)
    frames[:, 32:] += random.integers(-1, 2, (3000, 96))
    texts = [row.clip(0, 255).astype(np.uint8).tobytes().hex() for row in frames]
    pairs = similar_pairs(texts)
    assert len(linked(3000, pairs)) == 1
    assert len(linked(3000, pairs)[0]) == 3000
    assert len(pairs) < 100_000


@pytest.mark.parametrize(
    "name",
    [
        "beach-edited.jpg",
        "beach - Copy.jpg",
        "beach - Copy (2).jpg",
        "beach copy.JPG",
        "Beach copy 3.png",
        "beach_jpg.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.jpg",
        "beach_png.rf.0a1b",
        "beach - Kopie.jpg",
        "beach.jpg",
    ],
)
def test_names_of_one_original(name: str) -> None:
    assert original_name(name) == "beach"


@pytest.mark.parametrize(
    "name", ["beach (1).jpg", "beach1.jpg", "beach_2.jpg", "photocopy.jpg", "edited.jpg"]
)
def test_names_without_an_original(name: str) -> None:
    assert original_name(name) == name.removesuffix(".jpg")


def test_alone_is_in_no_group(make_photo: MakePhoto) -> None:
    texts = [fingerprint(make_photo(seed)) for seed in range(3)]
    assert groups_of([record(f"{place}.jpg", text=text) for place, text in enumerate(texts)]) == ["", "", ""]
    assert groups_of([]) == []


def test_near_duplicates_are_one_group_across_classes_too(make_photo: MakePhoto) -> None:
    images = [
        record("a.jpg", text=fingerprint(make_photo(1))),
        record("b.jpg", text=fingerprint(make_photo(2))),
        record("c.jpg", text=fingerprint(sent(make_photo(1))), class_name="dog"),
    ]
    assert groups_of(images) == ["id-a.jpg", "", "id-a.jpg"]


def test_frames_of_one_recording_are_one_group() -> None:
    images = [record("a.jpg", burst="x"), record("b.jpg", burst="y"), record("c.jpg", burst="x")]
    assert groups_of(images) == ["id-a.jpg", "", "id-a.jpg"]


def test_files_of_one_original_are_one_group() -> None:
    images = [
        record("beach.jpg"),
        record("beach (1).jpg"),
        record("beach-edited.jpg"),
        record("beach copy.jpg", class_name="sea"),
    ]
    assert groups_of(images) == ["id-beach-edited.jpg", "", "id-beach-edited.jpg", ""]


def test_the_same_name_in_two_folders_says_nothing() -> None:
    images = [
        record("1.jpg"),
        ImageRecord("another", "cat", "1.jpg"),
    ]
    assert groups_of(images) == ["", ""]


def test_a_group_grows_by_every_kind_of_link(make_photo: MakePhoto) -> None:
    images = [
        record("a.jpg", text=fingerprint(make_photo(1))),
        record("b.jpg", text=fingerprint(sent(make_photo(1))), burst="x"),
        record("c.jpg", burst="x"),
        record("c-edited.jpg"),
    ]
    assert set(groups_of(images)) == {"id-a.jpg"}


def test_of_near_duplicates_the_largest_comes_first(make_photo: MakePhoto) -> None:
    small, large = sent(make_photo(1)), make_photo(1)
    images = [
        ImageRecord("1", "cat", "1.jpg", fingerprint=fingerprint(small), group="g", width=80, height=60),
        ImageRecord("2", "cat", "2.jpg", fingerprint=fingerprint(large), group="g", width=160, height=120),
        ImageRecord(
            "3", "cat", "3.jpg", fingerprint=fingerprint(make_photo(9)), group="g", width=999, height=999
        ),
    ]
    assert [[image.id for image in group] for group in near_duplicates(images)] == [["2", "1"]]


def test_alike_to_others_directly_or_by_a_chain(make_photo: MakePhoto) -> None:
    photo, other = make_photo(1), make_photo(2)
    known = (fingerprint(photo), "")
    found = (*map(fingerprint, (compressed(photo), other, compressed(other))), "")
    assert similarity.are_alike(found, known) == (True, False, False, False)
    assert similarity.are_alike(found, ()) == (False,) * 4
    assert similarity.are_alike((), known) == ()
    near, far = (_turned(known[0], count) for count in (8, 16))
    assert similarity.are_alike((far,), known) == (False,)
    assert similarity.are_alike((far, near), known) == (True, True)


def _turned(text: str, count: int) -> str:
    """The fingerprint with so many of its first bits turned."""
    return f"{int(text[:16], 16) ^ (2**count - 1):016x}{text[16:]}"


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_statistics_of_a_channel_are_those_of_its_pixels(make_photo: MakePhoto, mode: str) -> None:
    image = make_photo(5).convert(mode)
    pixels = np.asarray(image, dtype=float).reshape(-1, len(mode))
    expected = np.stack([pixels.mean(axis=0), pixels.std(axis=0)], axis=1)
    assert np.allclose(channel_statistics(image), expected)
    assert channel_statistics(Image.new("L", (9, 9), 7)) == [(7, 0)]
