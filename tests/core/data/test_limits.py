"""Each limit has a default and a setting; a setting that is no number is reported."""

import pytest

from transfer_core.data.limits import Limits, limits, setting_of
from transfer_core.errors import InvalidConfigError

NAMES = ("files", "file_mb", "total_mb", "megapixels", "ratio", "depth", "video_mb", "video_minutes")


def test_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(setting_of(name), raising=False)
    assert limits() == Limits(50_000, 100, 20_480, 64, 200, 20, 2_048, 60)
    assert (limits().file_bytes, limits().total_bytes) == (100 * 1024**2, 20 * 1024**3)
    assert limits().pixels == 64_000_000


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_setting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"TRANSFER_STUDIO_MAX_{name.upper()}", " 7 ")
    assert getattr(limits(), name) == 7
    assert setting_of(name) == f"TRANSFER_STUDIO_MAX_{name.upper()}"


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5", "many", "²", "1e6", "1000000001", "9" * 5000])
def test_what_is_no_number_is_reported(text: str) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        Limits.from_environment({"TRANSFER_STUDIO_MAX_FILES": text})
    assert str(caught.value) == (
        f"The setting TRANSFER_STUDIO_MAX_FILES is “{text}”. Expected was a whole number from 1 to 1,000,000,000."
    )
