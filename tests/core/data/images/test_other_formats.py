"""Files in formats that are not read: each is named, with what to do, and never called no picture if it is one."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import wave
import zipfile

import numpy as np
import pytest
from PIL import Image

from transfer_core.data.images.decoding import read_image
from transfer_core.errors import UnreadableImageError

VIDEO = "it is a video; use “From a video” to take photos from it"
SOUND = "it is a sound file, not a photo"
RAW = "it is a camera RAW file; export it as JPEG first"
OFFICE = "it is an Office document; save the photos in it as PNG or JPEG"
WEB_PAGE = "it is a web page, not a photo"
NOTHING = "it is not a photo, whatever its name says"
SHORTCUT = "it is a shortcut to another file; add the photo itself"
DICOM = "it is a DICOM file; export it as PNG first"
NIFTI = "it is a NIfTI file; export its slices as PNG first"
DAMAGED = "the photo is cut off or damaged"


def picture(format_name: str) -> str:
    return f"it is a photo in the format {format_name}; save it as PNG or JPEG first"


def data(format_name: str) -> str:
    return f"it is a {format_name} data file; save its photos as PNG or JPEG first"


def saved(image_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), "red").save(buffer, image_format, **options)
    return buffer.getvalue()


def box(brand: bytes) -> bytes:
    return b"\0\0\0\x18ftyp" + brand + bytes(12) + b"\0\0\x10\0mdat" + bytes(4096)


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def array(is_compressed: bool) -> bytes:
    buffer = io.BytesIO()
    if is_compressed:
        np.savez_compressed(buffer, photo=np.zeros(9))
    else:
        np.save(buffer, np.zeros(9))
    return buffer.getvalue()


def sound() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(99))
    return buffer.getvalue()


def raw_tiff(*tags: tuple[int, int]) -> bytes:
    """Return a TIFF whose first page is a small preview, as in the RAW files of cameras."""
    content = bytearray(saved("TIFF", tiffinfo=dict(tags)))
    return bytes(content)


CASES: list[tuple[str, bytes, str]] = [
    *[
        (f"{name}.mp4", box(name.encode().ljust(4)), VIDEO)
        for name in ("isom", "mp42", "avc1", "qt", "M4V", "3gp4")
    ],
    ("a.mov", b"\0\0\0\x08wide\0\0\x10\0mdat" + bytes(99), VIDEO),
    ("a.mov", b"\0\0\x10\0moov" + bytes(99), VIDEO),
    ("a.webm", b"\x1aE\xdf\xa3" + bytes(99), VIDEO),
    ("a.mkv", b"\x1aE\xdf\xa3" + bytes(99), VIDEO),
    ("a.avi", b"RIFF\0\0\0\0AVI LIST" + bytes(99), VIDEO),
    ("a.mpg", b"\0\0\x01\xba" + bytes(99), VIDEO),
    ("a.ts", (b"G" + bytes(187)) * 4, VIDEO),
    ("a.flv", b"FLV\x01" + bytes(99), VIDEO),
    ("a.wmv", b"0&\xb2u\x8ef\xcf\x11" + bytes(99), VIDEO),
    ("a.ogv", b"OggS" + bytes(24) + b"\x80theora" + bytes(99), VIDEO),
    ("photo.jpg", box(b"isom"), VIDEO),
    ("a.wav", sound(), SOUND),
    ("a.mp3", b"ID3\4" + bytes(99), SOUND),
    ("a.mp3", b"\xff\xfb\x90" + bytes(99), SOUND),
    ("a.m4a", box(b"M4A "), SOUND),
    ("a.flac", b"fLaC" + bytes(99), SOUND),
    ("a.ogg", b"OggS" + bytes(24) + b"\x01vorbis" + bytes(99), SOUND),
    ("a.aiff", b"FORM\0\0\0\0AIFF" + bytes(99), SOUND),
    ("a.mid", b"MThd" + bytes(99), SOUND),
    ("a.cr3", b"\0\0\0\x18ftypcrx " + bytes(99), RAW),
    ("a.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(99), RAW),
    ("a.orf", b"IIRO\x08\0\0\0" + bytes(99), RAW),
    ("a.rw2", b"IIU\0\x08\0\0\0" + bytes(99), RAW),
    ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(99), RAW),
    ("a.x3f", b"FOVb" + bytes(99), RAW),
    ("a.nef", saved("TIFF"), RAW),
    ("A.ARW", saved("TIFF"), RAW),
    ("a.jpg", raw_tiff((50706, 17), (254, 1)), RAW),
    ("a.tif", raw_tiff((254, 1), (330, 8)), RAW),
    ("a.psd", b"8BPS\0\1" + bytes(99), picture("Photoshop")),
    ("a.jxl", b"\xff\x0a" + bytes(99), picture("JPEG XL")),
    ("a.jpg", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(99), picture("JPEG XL")),
    ("a.exr", b"v/1\1" + bytes(99), picture("OpenEXR")),
    ("a.hdr", b"#?RADIANCE\n" + bytes(99), picture("Radiance HDR")),
    ("a.dds", saved("DDS"), picture("DDS")),
    ("a.qoi", b"qoif" + bytes(99), picture("QOI")),
    ("a.ico", saved("ICO"), picture("ICO")),
    ("a.icns", b"icns" + bytes(99), picture("ICNS")),
    ("a.tga", saved("TGA"), picture("TGA")),
    ("a.tga", b"\0\0\2" + bytes(9) + b"\x20\0\x20\0\x18\0" + bytes(3072), picture("TGA")),
    ("a.pam", b"P7\nWIDTH 2\n", picture("PAM")),
    ("a.pfm", b"PF\n2 2\n-1.0\n" + bytes(48), picture("PFM")),
    ("a.xcf", b"gimp xcf v011" + bytes(99), picture("GIMP")),
    ("a.djvu", b"AT&TFORM" + bytes(99), picture("DjVu")),
    ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", picture("EPS")),
    ("a.fits", b"SIMPLE  =                    T".ljust(80), picture("FITS")),
    ("a.nrrd", b"NRRD0004\n", picture("NRRD")),
    ("a.dcm", bytes(128) + b"DICM" + bytes(99), DICOM),
    ("IM0001", bytes(128) + b"DICM" + bytes(99), DICOM),
    ("a.dcm", b"\x08\0\5\0\x0a\0\0\0ISO_IR 100", DICOM),
    ("a.nii", bytes(344) + b"n+1\0" + bytes(99), NIFTI),
    ("a.nii.gz", gzip.compress(bytes(99)), NIFTI),
    ("a.npy", array(is_compressed=False), data("NumPy")),
    ("a.npz", array(is_compressed=True), data("NumPy")),
    ("a.mat", b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128), data("MATLAB")),
    ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(99), data("HDF5")),
    ("a.parquet", b"PAR1" + bytes(99) + b"PAR1", data("Parquet")),
    ("a.pkl", pickle.dumps([1, 2]), data("pickle")),
    ("a.pdf", b"%PDF-1.7\n", "it is a PDF document; save its pages as PNG or JPEG first"),
    ("a.svg", b"<svg xmlns='x'/>", "it is an SVG drawing; save it as PNG or JPEG first"),
    ("a.docx", zipped("[Content_Types].xml", "word/document.xml"), OFFICE),
    ("a.pptx", zipped("[Content_Types].xml", "ppt/slides/slide1.xml"), OFFICE),
    ("a.odt", zipped("mimetypeapplication/vnd.oasis.opendocument.text"), OFFICE),
    ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), OFFICE),
    ("a.rtf", b"{\\rtf1\\ansi", OFFICE),
    ("a.zip", zipped("cat/1.jpg"), "it is an archive, not a photo; unpack it and add what is in it"),
    ("a.jpg", b"<!DOCTYPE html><html>", WEB_PAGE),
    ("a.jpg", b"\n<!-- saved -->\n<html lang='en'>", WEB_PAGE),
    ("a.jpg", b"<html><svg></svg></html>", WEB_PAGE),
    ("a.jpg", b"<head><title>403</title>", WEB_PAGE),
    (
        "a.jpg",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "it is an error message of a website; download the photo again",
    ),
    (
        "a.jpg",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
        "it is a Git LFS pointer: the photo itself was not downloaded",
    ),
    ("a.lnk", b"L\0\0\0\1\x14\2\0" + bytes(99), SHORTCUT),
    ("a.url", b"[InternetShortcut]\r\nURL=https://example.org/a.jpg", SHORTCUT),
    (
        "a.jpg.icloud",
        b"bplist00" + bytes(9),
        "it is still in the cloud: download the photo to this computer first",
    ),
    ("a.jpg", b"Dear diary", NOTHING),
    ("a.jpg", b"P5 is a key on the keyboard", NOTHING),
    ("a.jpg", b"MZ" + bytes(99), NOTHING),
    ("a.json", b'{"a": 1}', NOTHING),
    ("a.csv", b"image,label\na.jpg,cat\n", NOTHING),
    ("a.tga", bytes(4096), NOTHING),
    ("a.ppm", b"P6 32 32 255\n" + bytes(99), DAMAGED),
    ("a.pgm", b"P5\n# made\n32 32\n65535\n" + bytes(99), DAMAGED),
    ("a.j2k", b"\xff\x4f\xff\x51" + bytes(99), DAMAGED),
    ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), DAMAGED),
]
PICTURES_AND_MORE = (VIDEO, RAW, DICOM, NIFTI, SHORTCUT, "it is a picture in", "it is a PDF", "it is an SVG")


@pytest.mark.parametrize(
    ("name", "content", "reason"), CASES, ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)]
)
def test_it_is_said_what_a_file_is(name: str, content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        read_image(content, name=name)
    assert str(caught.value) == reason
    if reason.startswith(PICTURES_AND_MORE):
        assert caught.value.kind == "other_format"


@pytest.mark.parametrize("name", ["a.dcm", "a.mp4", "a.tga", "a.nii.gz", "a.pdf", "a", "a.icloud"])
@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "PPM", "JPEG2000", "TIFF"])
def test_a_photo_is_read_whatever_its_name(name: str, image_format: str) -> None:
    assert read_image(saved(image_format), name=name).image.size == (32, 24)


@pytest.mark.parametrize(
    ("bits", "sample_format", "num_bands"), [(64, 1, 1), (24, 1, 1), (16, 1, 7), (32, 3, 3)]
)
def test_a_tiff_of_a_rare_kind_is_not_called_damaged(bits: int, sample_format: int, num_bands: int) -> None:
    size = bits // 8 * num_bands * 64
    facts = [(256, 8), (257, 8), (259, 1), (262, 1), (273, 8), (277, num_bands), (278, 8), (279, size)]
    directory = struct.pack("<H", len(facts) + 2)
    for tag, value in sorted([*facts, (258, 0), (339, 0)]):
        if tag in (258, 339):
            # Where one value holds for every band, Pillow repeats it.
            value = bits if tag == 258 else sample_format
            directory += struct.pack("<HHIHH", tag, 3, 1, value, 0)
        else:
            directory += struct.pack("<HHII", tag, 4, 1, value)
    content = b"II*\0" + struct.pack("<I", 8 + size) + bytes(size) + directory + bytes(4)
    with pytest.raises(UnreadableImageError) as caught:
        read_image(content)
    assert str(caught.value) == "it is a rare kind of TIFF; save it as PNG first"
