"""Limits on what is read from people: files, bytes, pixels. An environment variable sets each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache

from transfer_core.errors import InvalidConfigError
from transfer_core.language import _

_PREFIX = "TRANSFER_STUDIO_MAX_"
_MEGABYTE = 1024**2
# Beyond it a number is a slip of the keyboard; 64 bits hold the product of two such numbers.
_LARGEST = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """Limits of one upload or import. `TRANSFER_STUDIO_MAX_` and the name in capitals set each.

    Args:
        files: Files of one folder or archive.
        file_mb: Size of one file, in megabytes (1,048,576 bytes).
        total_mb: Size of all files of one archive together, unpacked, in megabytes.
        megapixels: Width times height of a picture, in millions.
        ratio: How many times smaller than its content an archive may be. Photos are compressed already, so an
            archive of them hardly shrinks; a ratio of a thousand is a zip bomb.
        depth: Nested folders.
        video_mb: Size of a video, in megabytes.
        video_minutes: Length of a video.
    """

    files: int = 50_000
    file_mb: int = 100
    total_mb: int = 20_480
    megapixels: int = 64
    ratio: int = 200
    depth: int = 20
    video_mb: int = 2_048
    video_minutes: int = 60

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Limits:
        """Read the limits that are set; the others keep their defaults.

        Args:
            environment: Names and values, as in `os.environ`.

        Raises:
            InvalidConfigError: If one of them is no whole number of at least 1.
        """
        names = {field.name: _PREFIX + field.name.upper() for field in fields(cls)}
        return cls(
            **{
                field: _whole_number(name, environment[name])
                for field, name in names.items()
                if name in environment
            }
        )

    @property
    def file_bytes(self) -> int:
        """Size of one file, in bytes."""
        return self.file_mb * _MEGABYTE

    @property
    def total_bytes(self) -> int:
        """Size of all files of one archive together, in bytes."""
        return self.total_mb * _MEGABYTE

    @property
    def pixels(self) -> int:
        """Width times height of a picture."""
        return self.megapixels * 1_000_000


_SETTINGS = tuple(_PREFIX + field.name.upper() for field in fields(Limits))


def limits() -> Limits:
    """Return the current limits.

    Raises:
        InvalidConfigError: If one of the settings is no whole number of at least 1.
    """
    return _limits_of(tuple((name, os.environ[name]) for name in _SETTINGS if name in os.environ))


# Called for every photo, mostly with the same environment.
@lru_cache(maxsize=8)
def _limits_of(settings: tuple[tuple[str, str], ...]) -> Limits:
    return Limits.from_environment(dict(settings))


def setting_of(limit: str) -> str:
    """Return the environment variable of a limit, for messages.

    Args:
        limit: Name of a field of `Limits`.
    """
    return _PREFIX + limit.upper()


def _whole_number(name: str, text: str) -> int:
    if not text.strip().isascii() or not text.strip().isdigit() or not 1 <= int(text[:20]) <= _LARGEST:
        raise InvalidConfigError(
            _("The setting {name} is “{text}”. Expected was a whole number from 1 to {largest:,}.").format(
                name=name, text=text, largest=_LARGEST
            )
        )
    return int(text)
