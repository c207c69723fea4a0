"""Calibration and rejection of a run, loaded together so that a damaged file disables only its own feature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transfer_core.errors import WorkspaceError
from transfer_core.inference.calibration import UNCALIBRATED, Calibration
from transfer_core.inference.rejection import Rejection


@dataclass(frozen=True)
class Certainty:
    """Calibration and rejection of a model.

    Args:
        calibration: Temperature 1 if its file is missing or damaged.
        rejection: None if its files are missing or damaged.
        notices: One sentence per damaged file, for display: the file and the feature it disables.
    """

    calibration: Calibration
    rejection: Rejection | None
    notices: tuple[str, ...] = ()

    @classmethod
    def load(cls, folder: Path, num_features: int | None = None) -> Certainty:
        """Load both files of a run folder, with a notice in place of an error for each damaged one.

        Args:
            folder: Run folder.
            num_features: Width of the model's pooled features; a rejection bank of another width is damaged.
        """
        calibration, rejection, notices = UNCALIBRATED, None, []
        try:
            calibration = Calibration.load(folder)
        except WorkspaceError as error:
            notices.append(str(error))
        try:
            rejection = Rejection.load(folder, num_features)
        except WorkspaceError as error:
            notices.append(str(error))
        return cls(calibration, rejection, tuple(notices))
