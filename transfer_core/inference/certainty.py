"""What lies beside a model about its certainty. Damage there never costs the model itself, only that part of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transfer_core.errors import WorkspaceError
from transfer_core.inference.calibration import UNCALIBRATED, Calibration
from transfer_core.inference.rejection import Rejection


@dataclass(frozen=True)
class Certainty:
    """How sure a model may be, and what it should refuse.

    Args:
        calibration: Leaves probabilities unchanged where its file is missing or damaged.
        rejection: None where its files are missing or damaged.
        notices: Which file is damaged and what that costs, in sentences for a person.
    """

    calibration: Calibration
    rejection: Rejection | None
    notices: tuple[str, ...] = ()

    @classmethod
    def load(cls, folder: Path, num_features: int | None = None) -> Certainty:
        """Read all that can be read.

        Args:
            folder: Of the run.
            num_features: Pooled features of the model, where they are known.
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
