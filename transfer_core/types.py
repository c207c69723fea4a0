"""Types that several rooms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
# Height, width and colors in 0-255, with or without a leading axis of images.
Pixels: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
# Called with how much is done and how much there is in all.
OnProgress: TypeAlias = Callable[[int, int], None]
# Called often while something takes long; True asks it to end early.
ShouldStop: TypeAlias = Callable[[], bool]
