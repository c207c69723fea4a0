"""Explain why bytes are no photo that can be read: name their format, and say what to do."""

from __future__ import annotations

import io
import re
from pathlib import PurePosixPath

from PIL import Image, TiffImagePlugin

from transfer_core.data.images.image_path import DECODER_ERRORS
from transfer_core.errors import UnreadableImageError
from transfer_core.language import _

_START_SIZE = 4096
_READABLE = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n")
_PORTABLE_MAP = re.compile(rb"P[1-6f]\s+[#\d]")
_HEIF_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# Of the boxes that begin an MP4 or QuickTime file.
_VIDEO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"pnot")
_AUDIO_BRANDS = (b"M4A ", b"M4B ", b"M4P ")

# The first bytes of pictures that are not read here, and the name of their format.
_PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"8BPS", "Photoshop"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"\0\0\x01\0", "ICO"),
    (b"icns", "ICNS"),
    (b"P7\n", "PAM"),
    (b"PF\n", "PFM"),
    (b"\x0a\x05\x01", "PCX"),
    (b"\x01\xda", "SGI"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"gimp xcf", "GIMP"),
    (b"AT&TFORM", "DjVu"),
    (b"FLIF", "FLIF"),
    (b"BPG\xfb", "BPG"),
    (b"II\xbc", "JPEG XR"),
    (b"\x97JB2", "JBIG2"),
    (b"%!PS", "EPS"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"SIMPLE  =", "FITS"),
    (b"NRRD000", "NRRD"),
    (b"ObjectType =", "MetaImage"),
)
_RAW_STARTS = (
    *(b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM"),
    *(b"II*\0\x10\0\0\0CR", b"II\x1a\0\0\0HEAPCCDR"),
)
_VIDEOS = (
    b"\x1aE\xdf\xa3",
    b"\0\0\x01\xba",
    b"\0\0\x01\xb3",
    b"FLV\x01",
    b"0&\xb2u\x8ef\xcf\x11",
    b"#EXTM3U",
)
_SOUNDS = (b"ID3", b"fLaC", b"OggS", b"MThd", b"#!AMR", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2")
# Where in a file an archive says its format.
_ARCHIVES: dict[tuple[int, bytes], str] = {
    (0, b"PK\3\4"): "zip",
    (0, b"PK\5\6"): "zip",
    (0, b"\x1f\x8b"): "gzip",
    (0, b"BZh"): "bzip2",
    (0, b"\xfd7zXZ"): "xz",
    (0, b"Rar!\x1a\7"): "RAR",
    (0, b"7z\xbc\xaf\x27\x1c"): "7z",
    (0, b"\x28\xb5\x2f\xfd"): "Zstandard",
    (0, b"\4\x22\x4d\x18"): "LZ4",
    (0, b"\x1f\x9d"): "compress",
    (0, b"LZIP"): "lzip",
    (0, b"MSCF\0\0\0\0"): "cabinet",
    (0, b"MSWIM\0\0\0"): "WIM",
    (0, b"xar!"): "XAR",
    (0, b"SIT!"): "StuffIt",
    (0, b"StuffIt"): "StuffIt",
    (2, b"-lh"): "LHA",
    (7, b"**ACE**"): "ACE",
    (32_769, b"CD001"): "ISO",
}
MOST_ARCHIVE_BYTES = max(place + len(magic) for place, magic in _ARCHIVES)
# Files of numbers, which other programs turn into pictures.
_ARRAYS: tuple[tuple[bytes, str], ...] = (
    (b"\x93NUMPY", "NumPy"),
    (b"MATLAB 5.0", "MATLAB"),
    (b"MATLAB 7.3", "MATLAB"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"PAR1", "Parquet"),
    (b"ARROW1", "Arrow"),
    (b"SQLite format 3", "SQLite"),
)
_OFFICE = (b"[Content_Types].xml", b"word/", b"xl/", b"ppt/", b"mimetypeapplication/", b"docProps/")
_SHORTCUTS = (b"L\0\0\0\x01\x14\x02\0", b"[InternetShortcut]", b"book\0\0\0\0mark")
_WEB_PAGE = re.compile(rb"(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|script|meta|title)\b", re.DOTALL)
# Pillow's words for arrangements of bands and bits that it does not know.
_RARE_TIFFS = ("unknown pixel mode", "unknown data organization", "Invalid value for samples per pixel")
# Formats without a mark of their own.
_PICTURE_ENDINGS = {"tga": "TGA", "pcx": "PCX", "pic": "PICT", "pict": "PICT", "wbmp": "WBMP", "emf": "EMF"}
_RAW_ENDINGS = {
    *(
        "3fr",
        "arw",
        "cr2",
        "cr3",
        "crw",
        "dcr",
        "dng",
        "erf",
        "iiq",
        "kdc",
        "mef",
        "mos",
        "mrw",
        "nef",
        "nrw",
    ),
    *("orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
}
_DNG_VERSION, _SUB_IMAGES, _NEW_SUBFILE_TYPE = 50706, 330, 254
_COLOR_FILTER = 32803


def why_not_read(content: bytes, name: str = "") -> UnreadableImageError:
    """Return the error about bytes that could not be read as a photo.

    Their content decides; only where it says nothing does the ending of the name.

    Args:
        content: The bytes of the file.
        name: Of the file.
    """
    if content.startswith(b"version https://git-lfs"):
        return _other(_("it is a Git LFS pointer: the photo itself was not downloaded"))
    if _is_camera_raw(content, name):
        return camera_raw()
    if (
        content.startswith((*_READABLE, *_JPEG_2000))
        or _PORTABLE_MAP.match(content)
        or _is_riff(content, b"WEBP")
    ):
        return _damaged_or_unusual(content)
    if content[4:8] == b"ftyp" and content[8:12] in _HEIF_BRANDS:
        return _damaged_or_unusual(content)
    return (
        _of_pictures(content, name)
        or _of_media(content)
        or _of_data(content, name)
        or _of_documents(content)
        or UnreadableImageError(_("it is not a photo, whatever its name says"), "not_an_image")
    )


def archive_format(content: bytes) -> str:
    """Return the format of an archive by its first `MOST_ARCHIVE_BYTES`; empty if it is none that is known."""
    found = (name for (place, magic), name in _ARCHIVES.items() if content.startswith(magic, place))
    return next(found, "")


def camera_raw() -> UnreadableImageError:
    """Return the error about a camera's RAW file, of which others show only a small preview."""
    return _other(_("it is a camera RAW file; export it as JPEG first"))


def is_camera_raw(opened: Image.Image, name: str) -> bool:
    """Return whether an opened TIFF is a camera's RAW file.

    Args:
        opened: Not yet loaded, at its first page.
        name: Of the file.
    """
    if not isinstance(opened, TiffImagePlugin.TiffImageFile):
        return False
    tags = opened.tag_v2
    is_preview = tags.get(_NEW_SUBFILE_TYPE) == 1 and _SUB_IMAGES in tags
    has_color_filter = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _COLOR_FILTER
    return _DNG_VERSION in tags or has_color_filter or is_preview or _ending(name) in _RAW_ENDINGS


def _is_camera_raw(content: bytes, name: str) -> bool:
    if content.startswith(_RAW_STARTS) or content[4:12] == b"ftypcrx ":
        return True
    return _ending(name) in _RAW_ENDINGS and content.startswith((b"II*\0", b"MM\0*"))


def _damaged_or_unusual(content: bytes) -> UnreadableImageError:
    """Return the error about bytes that begin as a photo that can be read."""
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        try:
            TiffImagePlugin.TiffImageFile(io.BytesIO(content)).close()
        except DECODER_ERRORS as error:
            if str(error) in _RARE_TIFFS:
                return _other(_("it is a rare kind of TIFF; save it as PNG first"))
    return UnreadableImageError(_("the photo is cut off or damaged"), "damaged")


def _of_pictures(content: bytes, name: str) -> UnreadableImageError | None:
    if _is_svg(content):
        return _other(_("it is an SVG drawing; save it as PNG or JPEG first"))
    if content[128:132] == b"DICM" or (
        _ending(name) in ("dcm", "dicom") and content[:1] in (b"\x08", b"\x02")
    ):
        return _other(_("it is a DICOM file; export it as PNG first"))
    if content[344:348] in (b"n+1\0", b"ni1\0") or name.casefold().endswith((".nii", ".nii.gz")):
        return _other(_("it is a NIfTI file; export its slices as PNG first"))
    format_name = next((title for start, title in _PICTURES if content.startswith(start)), None)
    if content[-18:-1] == b"TRUEVISION-XFILE.":
        format_name = "TGA"
    if format_name is None and content.strip(b"\0"):
        format_name = _PICTURE_ENDINGS.get(_ending(name))
    if format_name is None:
        return None
    return _other(
        _("it is a photo in the format {format}; save it as PNG or JPEG first").format(format=format_name)
    )


def _of_media(content: bytes) -> UnreadableImageError | None:
    if content.startswith(_SOUNDS) and b"theora" not in content[:_START_SIZE]:
        return _no_picture(_("it is a sound file, not a photo"))
    if _is_riff(content, b"WAVE") or content[8:12] in (b"AIFF", b"AIFC"):
        return _no_picture(_("it is a sound file, not a photo"))
    if content[4:8] == b"ftyp" and content[8:12] in _AUDIO_BRANDS:
        return _no_picture(_("it is a sound file, not a photo"))
    is_stream = content[:1] == b"G" and content[188:189] == b"G" and content[376:377] == b"G"
    is_video = content.startswith((*_VIDEOS, b"OggS")) or _is_riff(content, b"AVI ") or is_stream
    if is_video or content[4:8] in _VIDEO_BOXES:
        return _other(_("it is a video; use “From a video” to take photos from it"))
    return None


def _of_data(content: bytes, name: str) -> UnreadableImageError | None:
    if content.startswith(b"PK") and b".npy" in content[:_START_SIZE]:
        format_name: str | None = "NumPy"
    elif (
        content.startswith(b"\x80")
        and content[1:2] in (b"\2", b"\3", b"\4", b"\5")
        and content.endswith(b".")
    ):
        format_name = "pickle"
    else:
        format_name = next((title for start, title in _ARRAYS if content.startswith(start)), None)
    if format_name is None and content[512:520] == b"\x89HDF\r\n\x1a\n":
        format_name = "HDF5"
    if format_name:
        sentence = _("it is a {format} data file; save its photos as PNG or JPEG first")
        return _other(sentence.format(format=format_name))
    if content.startswith(_SHORTCUTS):
        return _other(_("it is a shortcut to another file; add the photo itself"))
    if name.casefold().endswith(".icloud") or b"NSURLNameKey" in content[:_START_SIZE]:
        return _other(_("it is still in the cloud: download the photo to this computer first"))
    return None


def _of_documents(content: bytes) -> UnreadableImageError | None:
    text = content[:_START_SIZE].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if content.startswith(b"%PDF"):
        return _other(_("it is a PDF document; save its pages as PNG or JPEG first"))
    if _WEB_PAGE.match(text):
        return _no_picture(_("it is a web page, not a photo"))
    if text.startswith(b"<?xml") and b"<error" in text:
        return _no_picture(_("it is an error message of a website; download the photo again"))
    if content.startswith((b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf")):
        return _no_picture(_("it is an Office document; save the photos in it as PNG or JPEG"))
    if content.startswith(b"PK") and any(part in content[:_START_SIZE] for part in _OFFICE):
        return _no_picture(_("it is an Office document; save the photos in it as PNG or JPEG"))
    if archive_format(content):
        return _no_picture(_("it is an archive, not a photo; unpack it and add what is in it"))
    return None


def _is_svg(content: bytes) -> bool:
    text = content[:_START_SIZE].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(b"<") and b"<svg" in text and not _WEB_PAGE.match(text)


def _is_riff(content: bytes, kind: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == kind


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.removeprefix(".").casefold()


def _other(reason: str) -> UnreadableImageError:
    return UnreadableImageError(reason, "other_format")


def _no_picture(reason: str) -> UnreadableImageError:
    return UnreadableImageError(reason, "not_an_image")
