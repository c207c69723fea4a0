"""The choices of a training run: types, ranges and defaults, declared once."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct, ValidationError, convert, structs

from transfer_core.errors import InvalidConfigError
from transfer_core.language import _, names_list
from transfer_core.schema import Text

Schedule = Literal["head_then_fine_tune", "head_only", "one_phase", "gradual"]
WeightsSource = Literal["imagenet", "random"]
OptimizerName = Literal["adam", "adamw", "sgd"]
ClassWeights = Literal["auto", "on", "off"]
Head = Literal["auto", "softmax_regression", "lda", "average", "linear", "hidden", "flattened_map"]
AugmentationStrength = Literal["off", "light", "medium", "strong"]
AugmentationKind = Literal["flip", "rotation", "zoom", "color"]
CacheDtype = Literal["float16", "float32"]
Seed = Annotated[int, Meta(ge=0, le=2**31 - 1)]
HiddenUnits = Annotated[int, Meta(ge=1, le=4096)]
MIN_FOLDS, MAX_FOLDS = 2, 10
_Epochs = Annotated[int, Meta(ge=1, le=1000)]
_LearningRate = Annotated[float, Meta(ge=1e-9, le=1.0)]


class TrainingConfig(Struct, frozen=True):
    """The choices of one run. Making one with a bad value raises an error.

    Args:
        backbone: Name of the pretrained network in the registry.
        num_unfrozen_blocks: How many blocks, counted from the output, are fine-tuned, 0-1000. 0 freezes them all.
        epochs: Times the new layer sees every training image while the whole backbone is frozen, 1-1000.
        fine_tune_epochs: Times the unfrozen blocks see every training image afterwards, 1-1000. Ignored
            when nothing is unfrozen.
        learning_rate: Largest step size for the new layer, 1e-9 to 1.
        fine_tune_learning_rate: Largest step size while fine-tuning, 1e-9 to 1.
        batch_size: Images in one step, 1-1024.
        dropout: Share of the features hidden at random in each step, 0-0.95.
        seed: Fixes every random choice of the training, 0 to 2147483647.
        schedule: `"head_then_fine_tune"` trains the head on frozen features, then the unfrozen blocks with it
            (LP-FT, Kumar et al. 2022); `"head_only"` stops before that; `"one_phase"` trains all that is
            unfrozen from the start, as textbooks do; `"gradual"` unfreezes one block after another (Howard
            and Ruder 2018).
        unfrozen_layers: Names of single backbone layers that are fine-tuned as well.
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
        head: The new layers. On pooled features that are centred and scaled to unit length: `"softmax_regression"`,
            `"lda"` (linear discriminant analysis) or their `"average"`. On pooled features: `"linear"`, with a
            `"hidden"` layer between, or `"flattened_map"`, which keeps positions in the image. `"auto"` takes the best
            of the first three in a cross-validation, or `"linear"` with augmentation, oversampling, label smoothing or
            a teacher, which those three cannot use.
        hidden_units: Size of the hidden layer, 1-4096.
        early_stopping_patience: Epochs without a better validation loss after which a phase ends, 0-1000; 0 for never.
        layer_decay: Discriminative learning rates: each block learns at this multiple of the rate of the
            block behind it (Howard and Ruder 2018), 0.01-1; 1 is the same rate for all.
        augmentation: Strength of the augmentation of training images.
        augmentation_kinds: Mirroring, turning, zooming with a shift, brightness and colour.
        num_views: Views kept of each training image when features are cached, the unchanged one among them,
            1-16. Ignored without augmentation.
        live_augmentation: Augment images again in every epoch instead of caching views: more variety, but each epoch
            takes a forward pass of every image through the whole network.
        cache_dtype: Precision of the cached features.
        teacher: Id of a run whose outputs are targets beside the labels (Hinton et al. 2015); empty for none.
        teacher_share: Weight of its outputs beside the labels, 0-1.
        teacher_temperature: Softens its outputs, 1-20.
        train_on_all: Measure by cross-validation over training and validation images, then train the model that is
            kept on all of them.
        mixed_precision: Compute the layers of the backbone in float16 where a GPU has it; weights and files remain
            float32. Elsewhere the training computes in float32 and reports it.

    Raises:
        InvalidConfigError: If a value is out of its range or of another type.

    Example:
        >>> TrainingConfig(epochs=20).learning_rate
        0.01
    """

    backbone: Text = "efficientnet_lite0"
    num_unfrozen_blocks: Annotated[int, Meta(ge=0, le=1000)] = 0
    epochs: _Epochs = 50
    fine_tune_epochs: _Epochs = 10
    learning_rate: _LearningRate = 0.01
    fine_tune_learning_rate: _LearningRate = 1e-4
    batch_size: Annotated[int, Meta(ge=1, le=1024)] = 32
    dropout: Annotated[float, Meta(ge=0.0, le=0.95)] = 0.2
    seed: Seed = 1
    schedule: Schedule = "head_then_fine_tune"
    unfrozen_layers: tuple[Text, ...] = ()
    weights: WeightsSource = "imagenet"
    optimizer: OptimizerName = "adam"
    momentum: Annotated[float, Meta(ge=0.0, le=0.999)] = 0.9
    weight_decay: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    label_smoothing: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.0
    class_weights: ClassWeights = "auto"
    oversampling: bool = False
    head: Head = "linear"
    hidden_units: HiddenUnits = 128
    early_stopping_patience: Annotated[int, Meta(ge=0, le=1000)] = 0
    layer_decay: Annotated[float, Meta(ge=0.01, le=1.0)] = 1.0
    augmentation: AugmentationStrength = "off"
    augmentation_kinds: tuple[AugmentationKind, ...] = get_args(AugmentationKind)
    num_views: Annotated[int, Meta(ge=1, le=16)] = 4
    live_augmentation: bool = False
    cache_dtype: CacheDtype = "float16"
    teacher: Text = ""
    teacher_share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.8
    teacher_temperature: Annotated[float, Meta(ge=1.0, le=20.0)] = 3.0
    train_on_all: bool = False
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        # msgspec checks types and ranges only where it decodes.
        for choice in self.__struct_fields__:
            structs.force_setattr(self, choice, checked_choice(choice, getattr(self, choice)))

    @property
    def has_augmentation(self) -> bool:
        """Whether training images are augmented."""
        return self.augmentation != "off" and bool(self.augmentation_kinds)

    @property
    def unfreezes(self) -> bool:
        """Whether any part of the backbone is trainable."""
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
        return structs.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return the choices as plain values, ready for JSON."""
        return structs.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """Build a config from the values that `to_dict` gave. Names that this version does not know are ignored.

        Raises:
            InvalidConfigError: If a value is out of its range or of another type.
        """
        return cls(**{name: values[name] for name in cls.__struct_fields__ if name in values})


def bounds_of(choice: str) -> tuple[float, float]:
    """Return the lowest and the highest value of a choice that is a number."""
    _number, limits = get_args(_types()[choice])
    return limits.ge, limits.le


def checked_choice(choice: str, value: object) -> Any:
    """Return a value in the type of a choice: lists as tuples, whole numbers as floats where these are declared.

    Args:
        choice: A field of `TrainingConfig`.
        value: Of any type.

    Raises:
        InvalidConfigError: If it is out of range or of another type; the message says what was expected.
    """
    try:
        return convert(value, _types()[choice])
    except ValidationError as error:
        raise InvalidConfigError(_refusal(choice, value)) from error


@lru_cache(maxsize=1)
def _types() -> dict[str, Any]:
    return get_type_hints(TrainingConfig, include_extras=True)


def _refusal(choice: str, value: object) -> str:
    title, kind = _titles()[choice], _types()[choice]
    if get_origin(kind) is tuple:
        kind, _ellipsis = get_args(kind)
        if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
            kind = Text
        elif get_origin(kind) is Literal:
            title = _("A kind of augmentation")
            value = next(part for part in value if part not in get_args(kind))
    if kind is bool or get_origin(kind) is Literal:
        return _("{title}: {value} is not known. Choose one of: {known}.").format(
            title=title, value=value, known=names_list(get_args(kind) or (True, False))
        )
    if kind is Text:
        return _("{title}: {value} is not a list of names.").format(title=title, value=value)
    lowest, highest = bounds_of(choice)
    return _("{title} is {value}. Choose a number from {lowest} to {highest}.").format(
        title=title, value=value, lowest=lowest, highest=highest
    )


def _titles() -> dict[str, str]:
    return {
        "backbone": _("The pretrained model"),
        "num_unfrozen_blocks": _("The number of unfrozen blocks"),
        "epochs": _("The number of epochs"),
        "fine_tune_epochs": _("The number of fine-tuning epochs"),
        "learning_rate": _("The learning rate"),
        "fine_tune_learning_rate": _("The fine-tuning learning rate"),
        "batch_size": _("The batch size"),
        "dropout": _("Dropout"),
        "seed": _("The seed"),
        "schedule": _("The schedule"),
        "unfrozen_layers": _("The unfrozen layers"),
        "weights": _("The source of the weights"),
        "optimizer": _("The optimizer"),
        "momentum": _("The momentum"),
        "weight_decay": _("The weight decay"),
        "label_smoothing": _("The label smoothing"),
        "class_weights": _("The class weights"),
        "oversampling": _("Oversampling"),
        "head": _("The head"),
        "hidden_units": _("The size of the hidden layer"),
        "early_stopping_patience": _("The patience of early stopping"),
        "layer_decay": _("The layer decay"),
        "augmentation": _("The augmentation"),
        "augmentation_kinds": _("The kinds of augmentation"),
        "num_views": _("The number of views"),
        "live_augmentation": _("Live augmentation"),
        "cache_dtype": _("The precision of the cache"),
        "teacher": _("The teacher"),
        "teacher_share": _("The share of the teacher"),
        "teacher_temperature": _("The temperature of the teacher"),
        "train_on_all": _("Training on all photos"),
        "mixed_precision": _("Mixed precision"),
    }
