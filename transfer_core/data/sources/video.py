"""Turn a video into photos of a class: sharp frames that differ from each other.

PyAV decodes it. The content decides the format, never the name, and only formats that hold a video themselves are
opened: FFmpeg also knows playlists, which name other files and addresses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

import numpy as np
from PIL import Image

from transfer_core.data.images.decoding import encode_jpeg
from transfer_core.data.images.image_path import MAX_STORED_SIDE
from transfer_core.data.images.similarity import fingerprint, similar_pairs
from transfer_core.data.limits import limits, setting_of
from transfer_core.data.sources.imported_file import ImportedFile, clean_name, shown_name
from transfer_core.errors import IngestError
from transfer_core.language import _
from transfer_core.types import OnProgress

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

VIDEO_TYPES = ("mp4", "mov", "webm", "m4v", "mkv", "avi")
DEFAULT_NUM_PHOTOS = 40
MOST_PHOTOS = 200
# More frames are looked at than kept, so that enough are left without the blurred and the repeated ones.
_MOMENTS_A_PHOTO = 2
_FRAMES_A_MOMENT = 3
# A frame with less detail than this share of the usual one of its video is blurred.
_LEAST_SHARPNESS = 0.25
_SHARPNESS_SIDE = 512
_FASTEST = 240  # frames a second, the slow motion of phones
_START = 16
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_DECODERS = (
    *("h264", "hevc", "vp8", "vp9", "libvpx", "libvpx-vp9", "av1", "libdav1d"),
    *("mpeg4", "mjpeg", "prores", "mpeg1video", "mpeg2video", "h263", "dvvideo"),
)
_QUARTER_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


@dataclass(frozen=True)
class _Extent:
    """Frames of a video, as its packets list them."""

    num_frames: int
    num_key_frames: int


@dataclass(frozen=True)
class _Frame:
    image: Image.Image
    sharpness: float


@dataclass(frozen=True)
class _Candidate:
    """The sharpest frame of a moment, as a JPEG."""

    moment: int
    sharpness: float
    fingerprint: str
    content: bytes


def can_read_videos() -> bool:
    """Return whether the package that decodes videos is installed."""
    return find_spec("av") is not None


def how_to_read_videos() -> str:
    """Return the sentence that says how to install the package that decodes videos."""
    return _("To read videos, install PyAV: pip install -r requirements-video.txt. Then start again.")


def video_photos(
    file: BinaryIO,
    name: str,
    class_name: str,
    num_photos: int = DEFAULT_NUM_PHOTOS,
    progress: OnProgress | None = None,
) -> list[ImportedFile]:
    """Return frames of a video as photos of a class. Frames that are blurred, or repeat another one, are left out.

    Args:
        file: The video, open at any place.
        name: Of its file.
        class_name: Label of the photos.
        num_photos: The most photos to return, 1-200.
        progress: Called with the number of frames that were read and their number in all. It may raise an error to end
            the work.

    Returns:
        At least one photo: upright, at most 1,024 pixels a side, in the order of the video. All of them have the same
        series, so that no split separates them.

    Raises:
        IngestError: If it is no video that can be read, is larger or longer than the limits allow, has no usable
            frame, or if PyAV is not installed.
    """
    if not can_read_videos():
        raise IngestError(how_to_read_videos())
    series = _identity(file, name)
    with _opened(file, name) as (container, stream):
        extent = _extent(container, stream, name)
    num_moments = min(_MOMENTS_A_PHOTO * max(1, min(num_photos, MOST_PHOTOS)), max(extent.num_frames, 1))
    with _opened(file, name) as (container, stream):
        candidates = list(_candidates(container, stream, extent, num_moments, progress))
    chosen = _chosen(candidates, num_photos)
    if not chosen:
        _refuse(
            _("{name} has no frame that can be used. Choose a video that is not black or empty."), name=name
        )
    stem = clean_name(PurePath(name).stem).lstrip(".") or _("video")
    return [
        ImportedFile(
            # Without a folder: a class such as .net would be taken for a system file.
            (f"{stem}-{number:03d}.jpg",),
            partial(bytes, candidate.content),
            label=class_name,
            series=series,
        )
        for number, candidate in enumerate(chosen, 1)
    ]


def _identity(file: BinaryIO, name: str) -> str:
    """Check the size of a video, and return the hash of its content: the same video is the same series again."""
    num_bytes = file.seek(0, 2)
    if num_bytes > limits().video_mb * 1024**2:
        _refuse(
            _("{name} is larger than {limit:,} MB. Cut it, or raise the setting {setting}."),
            name=name,
            limit=limits().video_mb,
            setting=setting_of("video_mb"),
        )
    file.seek(0)
    digest = hashlib.sha256()
    for chunk in iter(partial(file.read, 1024**2), b""):
        digest.update(chunk)
    return f"video-{digest.hexdigest()[:32]}"


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the first video stream, and turn every error of the decoder into a sentence."""
    import av

    try:
        with av.open(file, "r", format=_format(file, name), io_open=_refuse_other_files) as container:
            # Not the first one, which may be a cover picture.
            stream = container.streams.best("video")
            if not isinstance(stream, av.VideoStream) or stream.codec_context is None:
                _refuse(_("{name} has sound only. Choose a file with a picture."), name=name)
            _check_stream(stream, name)
            yield container, stream
    except (av.FFmpegError, OSError, ValueError, ArithmeticError, MemoryError) as error:
        text = _("{name} is damaged or cut off, so no photo can be taken from it. Save it again as mp4.")
        raise IngestError(text.format(name=shown_name(name))) from error


def _format(file: BinaryIO, name: str) -> str:
    """Return FFmpeg's name of the format that the content begins with."""
    file.seek(0)
    start = file.read(_START)
    file.seek(0)
    if start[4:8] in _MP4_BOXES:
        return "mov"
    if start.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if start.startswith(b"RIFF") and start[8:12] == b"AVI ":
        return "avi"
    _refuse(_("{name} is not a video that can be read here. Save it as mp4, mov or webm."), name=name)


def _refuse_other_files(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise OSError(f"a video must not name other files: {url[:60]}")


def _check_stream(stream: VideoStream, name: str) -> None:
    context = stream.codec_context
    if context.codec.name not in _DECODERS:
        _refuse(
            _("{name} is coded as {codec}, which is not read here. Save it as mp4 (H.264)."),
            name=name,
            codec=clean_name(context.codec.name),
        )
    if context.width * context.height > limits().pixels:
        _refuse(
            _("{name} is too large ({width:,} × {height:,} pixels; up to {limit} megapixels are read)."),
            name=name,
            width=context.width,
            height=context.height,
            limit=limits().megapixels,
        )
    # The size may change in the middle; the decoder then refuses before it takes the memory.
    context.options = {"max_pixels": str(limits().pixels)}
    context.thread_type = "AUTO"


def _extent(container: InputContainer, stream: VideoStream, name: str) -> _Extent:
    """Count the frames without decoding them. What the header says about them may be missing or made up."""
    num_frames = num_key_frames = 0
    times: list[int] = []
    for packet in _packets(container, stream):
        num_frames += 1
        num_key_frames += packet.is_keyframe
        if packet.pts is not None:
            times = [min([*times[:1], packet.pts]), max([*times[1:], packet.pts])]
        seconds = (times[1] - times[0]) * float(stream.time_base or 0) if times else 0.0
        if max(seconds, num_frames / _FASTEST) > limits().video_minutes * 60:
            _refuse(
                _("{name} is longer than {limit} minutes. Cut it, or raise the setting {setting}."),
                name=name,
                limit=limits().video_minutes,
                setting=setting_of("video_minutes"),
            )
    return _Extent(num_frames, num_key_frames)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    """Yield the packets that hold something; the empty one at the end only flushes the decoder."""
    return (packet for packet in container.demux(stream) if packet.size)


def _candidates(
    container: InputContainer,
    stream: VideoStream,
    extent: _Extent,
    num_moments: int,
    progress: OnProgress | None,
) -> Iterator[_Candidate]:
    """Cut the video into moments of the same length, and yield the sharpest frame of each."""
    # A key frame is decoded without the frames before it, so a long video takes no longer than a short one.
    only_keys = extent.num_key_frames >= num_moments
    num_frames = extent.num_key_frames if only_keys else extent.num_frames
    step = max(num_frames // (num_moments * _FRAMES_A_MOMENT), 1)
    best: tuple[int, _Frame] | None = None
    for number, decoded in _decoded(container, stream, extent, step if only_keys else 0, progress):
        if number % step:
            continue
        moment = min(number * num_moments // num_frames, num_moments - 1)
        if best and best[0] != moment:
            yield _candidate(*best)
            best = None
        frame = _frame(decoded, stream)
        if best is None or frame.sharpness > best[1].sharpness:
            best = moment, frame
    if best:
        yield _candidate(*best)


def _decoded(
    container: InputContainer,
    stream: VideoStream,
    extent: _Extent,
    key_step: int,
    progress: OnProgress | None,
) -> Iterator[tuple[int, VideoFrame]]:
    """Yield frames with their numbers.

    Args:
        container: The opened video.
        stream: Of it.
        extent: Of the stream; never more frames are decoded.
        key_step: Decode each so many-th key frame and count the key frames; 0 decodes and counts all frames.
        progress: Called with the number of packets that were read.
    """
    import av

    number = num_keys = 0
    for num_read, packet in enumerate(container.demux(stream)):
        if progress and packet.size:
            progress(num_read + 1, extent.num_frames)
        if key_step and packet.size:
            num_keys += packet.is_keyframe
            if not packet.is_keyframe or (num_keys - 1) % key_step:
                continue
        try:
            frames = packet.decode()
        except av.FFmpegError:
            # Damaged in one place; the frames after it can be sound.
            continue
        for frame in frames:
            yield number, frame
            number += key_step or 1
            if number >= max(extent.num_frames, 1):
                return


def _frame(frame: VideoFrame, stream: VideoStream) -> _Frame:
    image = _upright(frame, stream)
    small = image.convert("L")
    small.thumbnail((_SHARPNESS_SIDE, _SHARPNESS_SIDE), Image.Resampling.BOX)
    return _Frame(image, sharpness(np.asarray(small)))


def sharpness(grey: np.ndarray[Any, Any]) -> float:
    """Return the variance of the Laplacian, which is small for a blurred picture.

    Pech-Pacheco and others, 2000, "Diatom autofocusing in brightfield microscopy: a comparative study".

    Args:
        grey: `[height, width]`, 0-255.
    """
    values = grey.astype(np.float32)
    if min(values.shape) < 3:
        return 0.0
    neighbours = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return float((neighbours - 4 * values[1:-1, 1:-1]).var())


def _upright(frame: VideoFrame, stream: VideoStream) -> Image.Image:
    """Return a frame as it is shown: with square pixels, turned upright, at most 1,024 pixels a side."""
    ratio = float(stream.sample_aspect_ratio or 1) or 1.0
    width, height = frame.width * min(max(ratio, 0.25), 4.0), float(frame.height)
    scale = min(MAX_STORED_SIDE / max(width, height), 1.0)
    array = frame.to_ndarray(
        format="rgb24",
        width=max(round(width * scale), 1),
        height=max(round(height * scale), 1),
        interpolation="AREA",
    )
    image = Image.fromarray(array)
    turn = _QUARTER_TURNS.get(round(frame.rotation / 90) * 90 % 360)
    return image if turn is None else image.transpose(turn)


def _candidate(moment: int, frame: _Frame) -> _Candidate:
    return _Candidate(moment, frame.sharpness, fingerprint(frame.image), encode_jpeg(frame.image))


def _chosen(candidates: list[_Candidate], num_photos: int) -> list[_Candidate]:
    """Return the candidates that are sharp and differ, spread over the video."""
    # A frame of one colour has no fingerprint: the fade at the start, or a covered lens.
    seen = [candidate for candidate in candidates if candidate.fingerprint]
    least = _LEAST_SHARPNESS * float(np.median([candidate.sharpness for candidate in seen])) if seen else 0.0
    kept: list[_Candidate] = []
    # Of frames that are alike, the sharpest is kept.
    for candidate in sorted(seen, key=lambda candidate: -candidate.sharpness):
        prints = [candidate.fingerprint, *(other.fingerprint for other in kept)]
        if candidate.sharpness >= least and not any(0 in pair for pair in similar_pairs(prints)):
            kept.append(candidate)
    kept.sort(key=lambda candidate: candidate.moment)
    places = np.linspace(0, len(kept) - 1, min(num_photos, len(kept))).round().astype(int)
    return [kept[place] for place in places]


def _refuse(text: str, *, name: str, **facts: object) -> NoReturn:
    raise IngestError(text.format(name=shown_name(name), **facts))
