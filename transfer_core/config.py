"""Every choice of a training run, in one immutable value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from transfer_core.errors import InvalidConfigError
from transfer_core.language import _

Schedule = Literal["head_then_fine_tune", "head_only", "one_phase", "gradual"]
WeightsSource = Literal["imagenet", "random"]
OptimizerName = Literal["adam", "adamw", "sgd"]
ClassWeights = Literal["auto", "on", "off"]
Head = Literal["auto", "linear", "hidden", "flattened_map"]
AugmentationStrength = Literal["off", "light", "medium", "strong"]
AugmentationKind = Literal["flip", "rotation", "zoom", "color"]
CacheDtype = Literal["float16", "float32"]


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
        schedule: `"head_then_fine_tune"` trains the head on frozen features, then the unfrozen blocks with it
            (LP-FT, Kumar et al. 2022); `"head_only"` stops before that; `"one_phase"` trains all that is
            unfrozen from the start, as textbooks do; `"gradual"` unfreezes one block after another (Howard
            and Ruder 2018).
        unfrozen_layers: Names of single backbone layers that learn along as well.
        weights: Where training starts: `"imagenet"` for pretrained weights, `"random"` to train the whole
            network from scratch, in one phase.
        optimizer: Adam, AdamW (Adam with decoupled weight decay) or SGD with momentum.
        momentum: Of SGD, from 0 to 0.999.
        weight_decay: Of AdamW and SGD, 0-1; biases are not decayed.
        label_smoothing: Share of the certainty taken from the right class in the loss, 0-0.5.
        class_weights: Whether small classes weigh more in the loss: `"on"`, `"off"`, or `"auto"` for where
            the largest class has more than 1.5 times the images of the smallest.
        oversampling: Show images of small classes more than once an epoch, until all classes are as large
            as the largest.
        head: The new layers: `"linear"` on pooled features, with a `"hidden"` layer between, or
            `"flattened_map"`, which knows where in the picture something is. `"auto"` takes the one that does
            best in a cross-validation on the training images.
        hidden_units: Size of the hidden layer, 1-4096.
        early_stopping_patience: Epochs without a better validation loss after which a phase ends; 0 never.
        layer_decay: Discriminative learning rates: each block learns at this multiple of the rate of the
            block behind it (Howard and Ruder 2018), 0.01-1; 1 is the same rate for all.
        augmentation: How strongly training images are varied.
        augmentation_kinds: Which changes that means: mirroring, turning, zooming with a shift, light and
            colour.
        num_views: Views kept of each training image when features are cached, the unchanged one among them,
            1-16. Ignored without augmentation.
        live_augmentation: Vary images again in every epoch instead of keeping views: more variety, but every
            image goes through the whole network every time.
        cache_dtype: Precision of the cached features.
        teacher: Id of a run whose answers are learned as well as the labels (Hinton et al. 2015); empty for none.
        teacher_share: How much its answers count beside the labels, 0-1.
        teacher_temperature: How much its answers are softened, 1-20.

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
    schedule: Schedule = "head_then_fine_tune"
    unfrozen_layers: tuple[str, ...] = ()
    weights: WeightsSource = "imagenet"
    optimizer: OptimizerName = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    class_weights: ClassWeights = "auto"
    oversampling: bool = False
    head: Head = "linear"
    hidden_units: int = 128
    early_stopping_patience: int = 0
    layer_decay: float = 1.0
    augmentation: AugmentationStrength = "off"
    augmentation_kinds: tuple[AugmentationKind, ...] = get_args(AugmentationKind)
    num_views: int = 4
    live_augmentation: bool = False
    cache_dtype: CacheDtype = "float16"
    teacher: str = ""
    teacher_share: float = 0.8
    teacher_temperature: float = 3.0

    def __post_init__(self) -> None:
        # JSON has no tuples.
        for name in ("unfrozen_layers", "augmentation_kinds"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_numbers()
        self._check_choices()
        check_seed(self.seed)

    def _check_numbers(self) -> None:
        _check_number(_("The number of epochs"), self.epochs, 1, 1000)
        _check_number(_("The number of fine-tuning epochs"), self.fine_tune_epochs, 1, 1000)
        _check_number(_("The batch size"), self.batch_size, 1, 1024)
        _check_number(_("The number of unfrozen blocks"), self.num_unfrozen_blocks, 0, 1000)
        _check_number(_("The learning rate"), self.learning_rate, 1e-9, 1.0)
        _check_number(_("The fine-tuning learning rate"), self.fine_tune_learning_rate, 1e-9, 1.0)
        _check_number(_("Dropout"), self.dropout, 0.0, 0.95)
        _check_number(_("The momentum"), self.momentum, 0.0, 0.999)
        _check_number(_("The weight decay"), self.weight_decay, 0.0, 1.0)
        _check_number(_("The label smoothing"), self.label_smoothing, 0.0, 0.5)
        _check_number(_("The size of the hidden layer"), self.hidden_units, 1, 4096)
        _check_number(_("The patience of early stopping"), self.early_stopping_patience, 0, 1000)
        _check_number(_("The layer decay"), self.layer_decay, 0.01, 1.0)
        _check_number(_("The number of views"), self.num_views, 1, 16)
        _check_number(_("The share of the teacher"), self.teacher_share, 0.0, 1.0)
        _check_number(_("The temperature of the teacher"), self.teacher_temperature, 1.0, 20.0)

    def _check_choices(self) -> None:
        _check_choice(_("The schedule"), self.schedule, get_args(Schedule))
        _check_choice(_("The source of the weights"), self.weights, get_args(WeightsSource))
        _check_choice(_("The optimizer"), self.optimizer, get_args(OptimizerName))
        _check_choice(_("The class weights"), self.class_weights, get_args(ClassWeights))
        _check_choice(_("The head"), self.head, get_args(Head))
        _check_choice(_("The augmentation"), self.augmentation, get_args(AugmentationStrength))
        _check_choice(_("The precision of the cache"), self.cache_dtype, get_args(CacheDtype))
        _check_choice(_("Oversampling"), self.oversampling, (True, False))
        _check_choice(_("Live augmentation"), self.live_augmentation, (True, False))
        for kind in _checked_texts(_("The kinds of augmentation"), self.augmentation_kinds):
            _check_choice(_("A kind of augmentation"), kind, get_args(AugmentationKind))
        _checked_texts(_("The unfrozen layers"), self.unfrozen_layers)
        _checked_texts(_("The teacher"), (self.teacher,))

    @property
    def has_augmentation(self) -> bool:
        """Whether training images are varied at all."""
        return self.augmentation != "off" and bool(self.augmentation_kinds)

    @property
    def unfreezes(self) -> bool:
        """Whether anything of the backbone is to learn along."""
        return bool(self.num_unfrozen_blocks or self.unfrozen_layers) or self.weights == "random"

    @property
    def num_epochs_in_all(self) -> int:
        """Epochs of all phases together, if none of them ends early."""
        has_second_phase = self.schedule in ("head_then_fine_tune", "gradual") and self.weights == "imagenet"
        if not (has_second_phase and self.unfreezes):
            return self.epochs
        # Gradual unfreezing gives every block one epoch at least.
        fewest = self.num_unfrozen_blocks if self.schedule == "gradual" else 1
        return self.epochs + max(self.fine_tune_epochs, fewest)

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


def _check_choice(title: str, value: object, known: Sequence[object]) -> None:
    # By type as well: 1 equals True.
    if not any(type(value) is type(choice) and value == choice for choice in known):
        raise InvalidConfigError(
            _("{title}: {value} is not known. Pick one of: {known}.").format(
                title=title, value=value, known=", ".join(map(str, known))
            )
        )


def _checked_texts(title: str, values: object) -> tuple[str, ...]:
    if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
        raise InvalidConfigError(
            _("{title}: {value} is not a list of names.").format(title=title, value=values)
        )
    return values
