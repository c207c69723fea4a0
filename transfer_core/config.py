"""Every choice of a training run, in one immutable value."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from transfer_core.errors import InvalidConfigError
from transfer_core.language import _


@dataclass(frozen=True)
class TrainingConfig:
    """The choices of one run, checked when made.

    Args:
        backbone: Name of the pretrained network in the registry.
        num_unfrozen_blocks: How many blocks, counted from the output, learn along. 0 freezes them all.
        epochs: Times the new layer sees every training image while the whole backbone is frozen, 1-1000.
        fine_tune_epochs: Times the unfrozen blocks see every training image afterwards, 1-1000. Ignored
            when nothing is unfrozen.
        learning_rate: Largest step size for the new layer, above 0 and up to 1.
        fine_tune_learning_rate: Largest step size while fine-tuning, above 0 and up to 1.
        batch_size: Images in one step, 1-1024.
        dropout: Share of the features hidden at random in each step, from 0 to below 1.
        seed: Fixes every random choice of the training.

    Raises:
        InvalidConfigError: If a value is out of its range.

    Example:
        >>> TrainingConfig(epochs=20).learning_rate
        0.01
    """

    backbone: str = "efficientnet_lite0"
    num_unfrozen_blocks: int = 0
    epochs: int = 50
    fine_tune_epochs: int = 10
    learning_rate: float = 0.01
    fine_tune_learning_rate: float = 1e-4
    batch_size: int = 32
    dropout: float = 0.2
    seed: int = 1

    def __post_init__(self) -> None:
        _check_number(_("The number of epochs"), self.epochs, 1, 1000)
        _check_number(_("The number of fine-tuning epochs"), self.fine_tune_epochs, 1, 1000)
        _check_number(_("The batch size"), self.batch_size, 1, 1024)
        _check_number(_("The number of unfrozen blocks"), self.num_unfrozen_blocks, 0, 1000)
        _check_number(_("The learning rate"), self.learning_rate, 1e-9, 1.0)
        _check_number(_("The fine-tuning learning rate"), self.fine_tune_learning_rate, 1e-9, 1.0)
        _check_number(_("Dropout"), self.dropout, 0.0, 0.95)
        check_seed(self.seed)

    @property
    def num_epochs_in_all(self) -> int:
        """Epochs of all phases together."""
        return self.epochs + (self.fine_tune_epochs if self.num_unfrozen_blocks else 0)

    def with_changes(self, **changes: Any) -> TrainingConfig:
        """Return a copy with some choices changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the choices as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """Build from what `to_dict` gave. Names that this version does not know are passed over.

        Raises:
            InvalidConfigError: If a value is out of its range or of another kind.
        """
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def check_seed(value: object) -> None:
    """Make sure that a seed is one that every random generator takes.

    Args:
        value: What is to be a seed.

    Raises:
        InvalidConfigError: If it is no whole number from 0 to 2147483647.
    """
    _check_number(_("The seed"), value, 0, 2**31 - 1)


def _check_number(title: str, value: object, lowest: float, highest: float) -> None:
    # Where the bounds are whole numbers it is a count: there is no half epoch.
    kinds = (int,) if isinstance(lowest, int) else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not lowest <= value <= highest:
        raise InvalidConfigError(
            _("{title} is {value}. Expected was a number from {lowest} to {highest}.").format(
                title=title, value=value, lowest=lowest, highest=highest
            )
        )
