# %% [markdown]
# # Train the same classifier with Keras alone
#
#     pip install -r requirements.txt
#     python train.py FOLDER
#
# FOLDER holds a folder of photos for each class. backbone.keras beside this script is the network that the training in
# the app started from; it takes raw pixels in 0-255. split.csv lists the training and validation photos.
# With these photos the script uses the same random numbers as the app, so the model is the same except for rounding.

# %%
import csv
import sys
from pathlib import Path

import augmentation
import class_balance
import heads
import image_path
import keras
import layer_rates
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()

# %% [markdown]
# ## Settings
# Change any of them and see the effect.

# %%
GREY_RANGES = (None, None)  # black and white in photos of more than 8 bits, for whole numbers and for floats
IMAGE_SIZE = 224  # side of the square that every photo is resized to, in pixels
# The new layers: "linear", "hidden" (one more layer between) or "flattened_map". On features that are centred and of
# unit length: "softmax_regression", "lda" (linear discriminant analysis) or their "average".
HEAD = "hidden"
HEAD_STRENGTH = None  # of softmax regression: inverse of the penalty of large weights
LDA_SCALE = None  # turns the discriminants of LDA into logits; None compares them with softmax regression
HIDDEN_UNITS = 128
DROPOUT = 0.2  # share of the features set to zero at random in each step
OPTIMIZER = "adamw"  # "adam", "adamw" or "sgd"
WEIGHT_DECAY = 1.0
MOMENTUM = 0.9
BATCH_SIZE = 32
LABEL_SMOOTHING = 0.0
TRAIN_ON_ALL = False  # whether the model that is saved learns from the validation photos too
WEIGH_CLASSES = False  # whether photos of small classes have a larger weight in the loss
OVERSAMPLE = False  # whether photos of small classes repeat until all classes are equally large
AUGMENTATION = "off"  # strength of the augmentation of training photos: "off", "light", "medium" or "strong"
AUGMENTATION_KINDS = ("flip", "rotation", "zoom", "color")
NUM_VIEWS = 1  # versions of each training photo, including the unchanged photo
LIVE_AUGMENTATION = False  # whether each epoch has new versions of the training photos instead
PATIENCE = 20  # epochs without a lower validation loss until a phase ends; 0 never ends early
SEED = 1

# The phases, in order. "layers" are the trainable layers of the backbone, each with its share of the learning rate.
# Everything up to the layer "frozen_up_to" is frozen; None freezes nothing.
PHASES = [{"epochs": 50, "learning_rate": 0.003, "frozen_up_to": "pooling", "layers": {}}]

# %% [markdown]
# ## Photos
# Each photo is turned upright and resized to a square, with the same code as in the app.


# %%
def read_photos(folder):
    """Return pixels, class indices and names of the photos, a mask of the validation photos, and the class names.

    Pixels are `[num_photos, size, size, 3]` in 0-255.
    """
    with (HERE / "split.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    places = {(class_name, name): place for place, (class_name, name, _split, _id) in enumerate(rows)}
    class_names = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    pixels, labels, names, found = [], [], [], []
    for label, class_name in enumerate(class_names):
        for path in sorted((Path(folder) / class_name).iterdir()):
            try:
                with Image.open(path) as opened:
                    photo = image_path.upright_rgb(opened, image_path.GreyRanges(*GREY_RANGES)).image
            except (*image_path.DECODER_ERRORS, Image.DecompressionBombError) as error:
                print(f"left out: {path} ({error})")
                continue
            pixels.append(image_path.to_pixels(photo, IMAGE_SIZE))
            labels.append(label)
            names.append(str(path))
            found.append(places.get((class_name, path.name), -1))
    pixels, labels, names, found = np.stack(pixels), np.array(labels), np.array(names), np.array(found)
    if {"train", "validation"} <= {rows[place][2] for place in found if place >= 0}:
        # The photos that the app used, in its order.
        used = np.argsort(found)[np.sum(found < 0) :]
        if len(used) < len(found):
            print(f"left out: {len(found) - len(used)} photos that the app did not use")
        known = [rows[place] for place in found[used]]
        names = np.array([photo_id for *_others, photo_id in known])
        is_validation = np.array([split == "validation" for _class_name, _name, split, _id in known])
        return pixels[used], labels[used], names, is_validation, class_names
    # With photos that the app does not know, a random fifth is for validation.
    is_validation = np.random.default_rng(SEED).permutation(len(labels)) % 5 == 0
    return pixels, labels, names, is_validation, class_names


class Batches(keras.utils.PyDataset):
    """Training batches, with a new random order and random versions of the photos in each epoch."""

    def __init__(self, inputs, labels, num_classes):
        super().__init__()
        self.inputs, self.labels, self.num_classes = inputs, labels, num_classes
        self.begin_epoch(1)

    def begin_epoch(self, epoch):
        """Draw the order and the versions of an epoch."""
        draws = np.random.default_rng([SEED, epoch])
        num_photos = len(self.labels)
        self.order = (
            class_balance.oversampled(self.labels, draws) if OVERSAMPLE else draws.permutation(num_photos)
        )
        self.versions = np.random.default_rng([SEED, epoch, 1]).integers(NUM_VIEWS, size=num_photos)
        if LIVE_AUGMENTATION:
            self.versions[:] = epoch

    def __len__(self):
        return -(-len(self.order) // BATCH_SIZE)

    def __getitem__(self, number):
        chosen = self.order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]
        targets = keras.utils.to_categorical(self.labels[chosen], self.num_classes)
        return self.inputs(chosen, self.versions[chosen]), targets


def varied(photo, name, version):
    """Return an augmented version of a photo. Without live augmentation, version 0 is the photo itself."""
    if not (version or LIVE_AUGMENTATION):
        return photo
    draw = (SEED, version) if LIVE_AUGMENTATION else (version,)
    return augmentation.Augmentation(AUGMENTATION, AUGMENTATION_KINDS).view(photo, name, *draw)


# %% [markdown]
# ## Model
# The new layers turn the features of the backbone into a probability for each class.


# %%
def build_classifier(backbone, num_classes):
    """Add the new layers to the backbone: the model maps pixels to one probability per class."""
    if HEAD == "flattened_map":
        x = keras.layers.Flatten()(backbone.output)
    else:
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone.output)
    if HEAD in heads.LINEAR_HEADS:
        # Subtracts the mean of the training photos, which `set_head` sets.
        x = keras.layers.BatchNormalization(
            epsilon=0.0, center=False, scale=False, trainable=False, name="centre"
        )(x)
        x = keras.layers.UnitNormalization()(x)
        outputs = keras.layers.Dense(
            num_classes, activation="softmax", kernel_initializer="zeros", name="new_layer"
        )(x)
        return keras.Model(backbone.input, outputs)
    x = keras.layers.Dropout(DROPOUT, seed=SEED)(x)
    if HEAD == "hidden":
        start = keras.initializers.GlorotUniform(seed=SEED + 1)
        x = keras.layers.Dense(HIDDEN_UNITS, activation="relu", kernel_initializer=start)(x)
    start = keras.initializers.GlorotUniform(seed=SEED)
    outputs = keras.layers.Dense(num_classes, activation="softmax", kernel_initializer=start)(x)
    return keras.Model(backbone.input, outputs)


def make_optimizer(model, phase, num_steps):
    """Return the optimizer of a phase, with a linear warm-up and a cosine decay of the learning rate."""
    peak = phase["learning_rate"]
    # Warm up, because large first steps would destroy the weights it starts from.
    num_warm_up_steps = max(round(num_steps * 0.1), 1)
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=peak / num_warm_up_steps,
        warmup_target=peak,
        warmup_steps=num_warm_up_steps - 1,
        decay_steps=num_steps - num_warm_up_steps + 1,
    )
    kind, options = {
        "adam": (keras.optimizers.Adam, {}),
        "adamw": (keras.optimizers.AdamW, {"weight_decay": WEIGHT_DECAY}),
        "sgd": (keras.optimizers.SGD, {"momentum": MOMENTUM, "weight_decay": WEIGHT_DECAY or None}),
    }[OPTIMIZER]
    shares = {
        weight.path: share
        for name, share in phase["layers"].items()
        for weight in model.get_layer(name).weights
    }
    if any(share < 1 for share in shares.values()):
        kind = layer_rates.with_rate_shares(kind, shares)
    optimizer = kind(rate, **options)
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


# %% [markdown]
# ## Training
# The frozen layers compute the features of each photo only once if they cannot change; then the new layers train in
# seconds.


# %%
def split_at(model, layer_name):
    """Split the model into its frozen part (None without one) and its trainable part."""
    if layer_name is None:
        return None, model
    boundary = model.get_layer(layer_name).output
    return keras.Model(model.input, boundary), keras.Model(boundary, model.output)


def features_of(frozen, pixels):
    """Return the output of the frozen part for photos."""
    pixels = np.asarray(pixels, np.float32)
    return pixels if frozen is None else frozen.predict(pixels, batch_size=BATCH_SIZE, verbose=0)


def training_inputs(frozen, pixels, names, is_cached):
    """Return a function that maps indices of photos and their versions to inputs of the trainable part."""

    def inputs(chosen, versions):
        photos = [
            varied(pixels[number], names[number], version)
            for number, version in zip(chosen, versions, strict=True)
        ]
        return features_of(frozen, photos)

    if not is_cached:
        return inputs
    indices = np.arange(len(pixels))
    cache = np.stack([inputs(indices, np.full(len(pixels), version)) for version in range(NUM_VIEWS)])
    return lambda chosen, versions: cache[versions, chosen]


def fitted_head(model, pixels, labels):
    """Return the head that minimises the loss on photos, for features of the frozen backbone; None for other heads."""
    if HEAD not in heads.LINEAR_HEADS:
        return None
    features = features_of(keras.Model(model.input, model.get_layer("pooling").output), pixels)
    weights = weights_of_classes(labels, model.output.shape[-1]) if WEIGH_CLASSES else None
    recipe = heads.HeadRecipe(HEAD, HEAD_STRENGTH, LDA_SCALE)
    return recipe.fit(features, labels, weights and list(weights.values()))


def set_head(model, head, share=1.0):
    """Set the mean, and move the weights of the last layer by a share of their way to the head."""
    model.get_layer("centre").moving_mean.assign(head.mean)
    output = model.get_layer("new_layer")
    for weight, goal in ((output.kernel, head.kernel), (output.bias, head.bias)):
        weight.assign(weight.numpy() + share * (goal - weight.numpy()))


def begin_epoch(batches, tail, epoch):
    """Draw the same order, versions and dropout seeds for an epoch as the app."""
    batches.begin_epoch(epoch)
    draws = np.random.default_rng([SEED, epoch, 2])
    for layer in tail.layers:
        if hasattr(layer, "seed_generator"):
            layer.seed_generator.state.assign(draws.integers(2**32, size=2, dtype=np.uint32))


def train_phase(model, backbone_layers, phase, batches_of, validation, num_epochs_before, head=None):
    """Train one phase, restore the weights of its kept epoch, and return the validation loss of each epoch.

    Args:
        model: The complete classifier.
        backbone_layers: Names of the layers of the backbone.
        phase: One of PHASES.
        batches_of: Function of the frozen part and the phase that returns its `Batches`.
        validation: Pixels and class indices.
        num_epochs_before: Number of epochs of the previous phases.
        head: What the weights of the last layer approach from epoch to epoch; None trains them freely.
    """
    for layer in model.layers:
        layer.trainable = layer.name in phase["layers"] or layer.name not in {*backbone_layers, "centre"}
    frozen, tail = split_at(model, phase["frozen_up_to"])
    batches = batches_of(frozen, phase)
    tail.compile(
        optimizer=make_optimizer(model, phase, phase["epochs"] * len(batches)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy", keras.metrics.CategoricalCrossentropy(name="cross_entropy")],
    )
    best = keras.callbacks.EarlyStopping(
        # The validation loss itself includes label smoothing.
        monitor="val_cross_entropy",
        mode="min",
        patience=PATIENCE or phase["epochs"],
        restore_best_weights=True,
    )
    draw = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: begin_epoch(batches, tail, num_epochs_before + epoch + 1)
    )
    epoch_of = dict.fromkeys(["now"], 0)

    def approach(batch, logs):
        if head is not None and batch == len(batches) - 1:
            epoch_of["now"] += 1
            set_head(tail, head, (epoch_of["now"] / phase["epochs"]) ** 2)

    approaching = keras.callbacks.LambdaCallback(on_train_batch_end=approach)
    pixels, labels = validation
    history = tail.fit(
        batches,
        validation_data=(
            features_of(frozen, pixels),
            keras.utils.to_categorical(labels, batches.num_classes),
        ),
        validation_batch_size=BATCH_SIZE,
        epochs=phase["epochs"],
        # `Batches` shuffles already.
        shuffle=False,
        class_weight=weights_of_classes(batches.labels, batches.num_classes) if WEIGH_CLASSES else None,
        callbacks=[draw, approaching, best],
        verbose=2,
    )
    return history.history["val_cross_entropy"]


def weights_of_classes(labels, num_classes):
    """Return the loss weight of each class: inversely proportional to its number of photos."""
    counts = np.bincount(labels, minlength=num_classes)
    return {label: counts.sum() / (len(counts) * max(count, 1)) for label, count in enumerate(counts)}


def main(folder):
    """Train, validate, and save the model."""
    keras.utils.set_random_seed(SEED)
    pixels, labels, names, is_validation, class_names = read_photos(folder)
    print(f"{len(labels)} photos of {class_names}, {is_validation.sum()} of them for validation")
    validation = pixels[is_validation], labels[is_validation]
    is_train = ~is_validation

    def batches_of(frozen, phase):
        # If the backbone is frozen, the features of a version never change.
        is_cached = not phase["layers"] and not LIVE_AUGMENTATION
        inputs = training_inputs(frozen, pixels[is_train], names[is_train], is_cached)
        return Batches(inputs, labels[is_train], len(class_names))

    backbone = keras.models.load_model(HERE / "backbone.keras", compile=False)
    backbone_layers = {layer.name for layer in backbone.layers}
    model = build_classifier(backbone, len(class_names))
    head = fitted_head(model, pixels[is_train], labels[is_train])
    if head is not None:
        set_head(model, head, share=0.0)
    losses = []
    for number, phase in enumerate(PHASES, 1):
        print(f"phase {number} of {len(PHASES)}: {len(phase['layers'])} layers of the backbone are trained")
        before = model.get_weights()
        found = train_phase(
            model,
            backbone_layers,
            phase,
            batches_of,
            validation,
            len(losses),
            head if number == 1 and not phase["layers"] else None,
        )
        if min(found) >= min(losses, default=float("inf")):
            model.set_weights(before)
        losses += found

    scores = model.predict(features_of(None, validation[0]), batch_size=BATCH_SIZE, verbose=0)
    accuracy = float(np.mean(scores.argmax(axis=1) == validation[1]))
    if TRAIN_ON_ALL and head is not None and not any(phase["layers"] for phase in PHASES):
        set_head(model, fitted_head(model, pixels, labels))
    # Save a model without the optimizer state, which only training needs.
    keras.Model(model.input, model.output).save("my_model.keras")
    print(f"validation accuracy: {accuracy:.4f}")
    return model


# %%
if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the folder that holds a folder of photos for each class: python train.py FOLDER")
    main(sys.argv[1])
