"""Files with several photos: each page of a TIFF is one, of animations the first frame counts, and it is said."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from transfer_core.data.checks.notices import check_notices, sentence_of
from transfer_core.data.dataset import ImageDataset
from transfer_core.data.images.decoding import decode_image, read_pages
from transfer_core.data.images.image_path import UNKNOWN_RANGES, GreyRanges
from transfer_core.data.ingest import add_files, collect_files, create_dataset
from transfer_core.data.records import Notice
from transfer_core.data.sources.imported_file import ImportedFile
from transfer_core.errors import IngestError, UnreadableImageError
from transfer_core.language import said
from transfer_core.workspace import Workspace

NEW_SUBFILE_TYPE, OLD_SUBFILE_TYPE = 254, 255


def noise(seed: int, size: tuple[int, int] = (32, 24)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def stack(*pages: Image.Image, image_format: str = "TIFF", **options: Any) -> bytes:
    buffer = io.BytesIO()
    pages[0].save(buffer, image_format, save_all=True, append_images=pages[1:], **options)
    return buffer.getvalue()


def tagged(image: Image.Image, tag: int, value: int) -> Image.Image:
    # Pillow writes the tags of each page from its own `encoderinfo`.
    image.encoderinfo = {"tiffinfo": {tag: value}}
    return image


def deep(low: float, high: float, seed: int = 1, kind: str = "uint16") -> bytes:
    values = np.random.default_rng(seed).uniform(low, high, (24, 32)).astype(kind)
    values[:2], values[2:4] = low, high
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    return buffer.getvalue()


def file_of(path: str, content: bytes, **facts: Any) -> ImportedFile:
    return ImportedFile(tuple(path.split("/")), lambda: content, **facts)


@pytest.fixture
def dataset(workspace: Workspace) -> ImageDataset:
    return create_dataset(workspace, "Photos")


class TestPages:
    @pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
    @pytest.mark.parametrize("num_pages", [2, 3, 7])
    def test_each_page_is_a_photo_of_one_group(
        self, dataset: ImageDataset, num_pages: int, compression: str | None
    ) -> None:
        content = stack(*map(noise, range(num_pages)), compression=compression)
        added = add_files(dataset, [file_of("cat/a.tif", content), file_of("cat/b.png", single(99))])
        assert [image.name for image in added.images] == [
            *(f"a.tif, page {number}" for number in range(1, num_pages + 1)),
            "b.png",
        ]
        *pages, other = added.images
        assert len({image.burst for image in pages}) == len({image.group for image in pages}) == 1
        assert len({image.split for image in pages}) == 1
        assert pages[0].burst and not other.burst
        assert not added.notices

    def test_pages_of_two_files_are_two_groups(self, dataset: ImageDataset) -> None:
        files = [file_of(f"{place}/a.tif", stack(noise(place), noise(place + 50))) for place in range(4)]
        assert len({image.burst for image in add_files(dataset, files).images}) == 4

    def test_a_series_of_files_is_larger_than_one_file(self, dataset: ImageDataset) -> None:
        files = [
            file_of(f"cat/{place}.tif", stack(noise(place), noise(place + 50)), series="s")
            for place in (1, 2)
        ]
        assert {image.burst for image in add_files(dataset, files).images} == {"s"}

    def test_a_file_that_comes_again_is_known(self, dataset: ImageDataset) -> None:
        file = file_of("cat/a.tif", stack(noise(1), noise(2)))
        once = add_files(dataset, [file])
        twice = collect_files(once, [file])
        assert twice.images == once.images
        assert [left.kind for left in twice.left_out] == ["again", "again"]

    def test_one_page_keeps_its_name(self, dataset: ImageDataset) -> None:
        (image,) = add_files(dataset, [file_of("cat/a.tif", stack(noise(1)))]).images
        assert (image.name, image.burst) == ("a.tif", "")

    @pytest.mark.parametrize(
        ("tag", "value"), [(NEW_SUBFILE_TYPE, 1), (NEW_SUBFILE_TYPE, 4), (OLD_SUBFILE_TYPE, 2)]
    )
    def test_a_page_of_lower_resolution_is_passed_over(
        self, dataset: ImageDataset, tag: int, value: int
    ) -> None:
        pages = [noise(1, (64, 48)), tagged(noise(2, (40, 48)), tag, value), noise(3, (64, 48))]
        added = add_files(dataset, [file_of("cat/a.tif", stack(*pages))])
        assert [image.name for image in added.images] == ["a.tif, page 1", "a.tif, page 3"]

    @pytest.mark.parametrize("place", [0, 1])
    def test_a_preview_that_does_not_say_so_is_passed_over(self, dataset: ImageDataset, place: int) -> None:
        pages = [noise(1, (65, 48))]
        pages.insert(place, noise(2, (16, 12)))
        content = stack(*pages)
        (image,) = add_files(dataset, [file_of("cat/a.tif", content)]).images
        assert (image.name, image.width, image.height) == ("a.tif", 65, 48)
        assert decode_image(content).size == (65, 48)

    def test_pages_of_other_shapes_are_photos(self, dataset: ImageDataset) -> None:
        pages = [noise(1, (64, 48)), noise(2, (16, 16)), noise(3, (40, 30))]
        assert len(add_files(dataset, [file_of("cat/a.tif", stack(*pages))]).images) == 3

    def test_a_page_that_cannot_be_read_is_named(self, dataset: ImageDataset) -> None:
        pages = stack(noise(1), noise(2, (4, 4)), noise(3))
        added = add_files(dataset, [file_of("cat/a.tif", pages)])
        assert [image.name for image in added.images] == ["a.tif, page 1", "a.tif, page 3"]
        (left,) = added.left_out
        assert (left.name, left.kind) == ("cat/a.tif, page 2", "too_small")

    def test_pages_have_a_limit(self, monkeypatch: pytest.MonkeyPatch, dataset: ImageDataset) -> None:
        monkeypatch.setattr("transfer_core.data.images.decoding._MOST_PAGES", 3)
        added = add_files(dataset, [file_of("cat/a.tif", stack(*map(noise, range(6))))])
        assert len(added.images) == 3
        (left,) = added.left_out
        assert said(left.reason) == "only the first 3 pages of a file are read; split it"
        assert (left.name, left.kind) == ("cat/a.tif, page 4", "too_large")

    def test_pixels_of_all_pages_have_a_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRANSFER_STUDIO_MAX_MEGAPIXELS", "1")
        found = list(read_pages(stack(*[Image.new("1", (1000, 1000), place % 2) for place in range(24)])))
        assert len(found) == 21
        assert isinstance(found[-1][1], UnreadableImageError)

    def test_pages_of_many_bits_share_one_range(self, dataset: ImageDataset) -> None:
        pages = [Image.open(io.BytesIO(deep(0, white, seed))) for seed, white in enumerate((4095, 800))]
        added = add_files(dataset, [file_of("cat/a.tif", stack(*pages))])
        assert added.grey_ranges == GreyRanges(integers=(0, 4095))
        bright, dark = added.images
        assert bright.brightness > 2 * dark.brightness


def single(seed: int) -> bytes:
    return stack(noise(seed), image_format="PNG")


class TestFrames:
    @pytest.mark.parametrize("image_format", ["GIF", "PNG", "WEBP", "MPO", "HEIF", "AVIF"])
    def test_only_the_first_counts_and_it_is_said(self, dataset: ImageDataset, image_format: str) -> None:
        frames = [noise(seed, (64, 48)) for seed in range(3)]
        files = [
            file_of(f"cat/{place}.x", stack(*frames[place:], image_format=image_format)) for place in range(2)
        ]
        added = add_files(dataset, [*files, file_of("cat/one.png", single(50))])
        assert len(added.images) == 3
        assert added.notices == (Notice("first_frame", count=2),)
        assert sentence_of(added.notices[0]) == (
            "2 files hold several frames or photos. Only the first one of each counts."
        )

    @pytest.mark.parametrize(
        "image_format", ["GIF", "PNG", "WEBP", "JPEG", "TIFF", "BMP", "HEIF", "AVIF", "PPM"]
    )
    def test_one_frame_is_not_mentioned(self, dataset: ImageDataset, image_format: str) -> None:
        buffer = io.BytesIO()
        noise(1, (64, 48)).save(buffer, image_format)
        assert not add_files(dataset, [file_of("cat/1.x", buffer.getvalue())]).notices


class TestBrightness:
    def test_one_range_holds_for_all(self, dataset: ImageDataset) -> None:
        contents = [deep(0, 300), deep(0, 4095), deep(0, 1000), deep(0, 0.9, kind="float32")]
        files = [file_of(f"cat/{place}.tif", content) for place, content in enumerate(contents)]
        added = add_files(dataset, [*files[:2], file_of("cat/8.png", single(5)), *files[2:]])
        assert [image.name for image in added.images] == ["0.tif", "1.tif", "8.png", "2.tif", "3.tif"]
        assert added.grey_ranges == GreyRanges((0, 4095), (0, 1))
        assert added.notices == (Notice("stretched", names=("0", "4,095"), count=3),)
        brightness = {image.name: image.brightness for image in added.images}
        assert brightness["0.tif"] < 20 < brightness["2.tif"] < 60 < 100 < brightness["1.tif"]
        assert (
            ImageDataset.load(Workspace(dataset.folder.parents[1]), added.id).grey_ranges == added.grey_ranges
        )

    def test_it_can_be_kept_as_in_the_files(self, dataset: ImageDataset) -> None:
        added = add_files(dataset, [file_of("cat/1.tif", deep(0, 4095))], brightness="keep")
        assert added.grey_ranges == GreyRanges(integers=(0, 65535))
        assert added.images[0].brightness < 16
        assert not added.notices

    def test_ordinary_photos_choose_no_range(self, dataset: ImageDataset) -> None:
        assert add_files(dataset, [file_of("cat/1.png", single(1))]).grey_ranges == UNKNOWN_RANGES

    def test_later_photos_get_the_range_of_the_first(self, dataset: ImageDataset) -> None:
        first = add_files(dataset, [file_of("cat/1.tif", deep(0, 1000))])
        later = add_files(
            first, [file_of("cat/2.tif", deep(0, 4095, 2)), file_of("cat/3.tif", deep(0, 500, 3))]
        )
        assert later.grey_ranges == first.grey_ranges == GreyRanges(integers=(0, 1023))
        assert later.notices == (
            Notice("stretched", names=("0", "1,023"), count=3),
            Notice("too_bright_or_dark", names=("0", "1,023"), count=1),
        )
        problems = {problem.kind: problem for problem in check_notices(later)}
        assert problems["too_bright_or_dark"].severity == "warning"
        assert "goes beyond the values 0 to 1,023" in problems["too_bright_or_dark"].sentence
        assert "The values of 3 photos go from 0 to 1,023." in problems["stretched"].sentence

    def test_photos_that_come_again_are_not_counted_again(self, dataset: ImageDataset) -> None:
        once = add_files(dataset, [file_of("cat/1.tif", deep(0, 4095))])
        assert collect_files(once, [file_of("cat/1.tif", deep(0, 4095))]).notices == once.notices

    def test_progress_only_grows_to_the_end(self, dataset: ImageDataset) -> None:
        files = [file_of(f"cat/{place}.tif", deep(0, 4095, place)) for place in range(5)]
        files += [file_of(f"cat/{place}.png", single(place)) for place in range(3)]
        seen: list[tuple[int, int]] = []
        add_files(dataset, files, progress=lambda done, total: seen.append((done, total)))
        assert seen == sorted(seen)
        assert seen[-1] == (8, 8)

    def test_nothing_but_photos_in_other_formats_is_explained(self, dataset: ImageDataset) -> None:
        with pytest.raises(IngestError, match="it is a DICOM file; export it as PNG first"):
            add_files(dataset, [file_of("cat/1.dcm", bytes(128) + b"DICM")])
