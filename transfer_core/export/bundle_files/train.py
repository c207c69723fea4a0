# %% [markdown]
# # Train the same classifier with Keras alone
#
#     pip install -r requirements.txt
#     python train.py FOLDER
#
# FOLDER holds a folder of photos for each class. backbone.keras beside this script is the network that the training
# in the app began with; it takes raw pixels in 0-255. split.csv names the photos for training and for validation. With
# these photos the script draws what the app drew, so that the model is the same but for rounding.

# %%
import csv
import sys
from pathlib import Path

import augmentation
import class_balance
import image_path
import keras
import layer_rates
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()

# %% [markdown]
# ## The choices
# Change any of them and see what happens.

# %%
IMAGE_SIZE = 224  # side of the square that every photo is squeezed to, in pixels
HEAD = "hidden"  # the new layers: "linear", "hidden" (one more layer between) or "flattened_map"
HIDDEN_UNITS = 128
DROPOUT = 0.2  # share of the features hidden at random in each step
OPTIMIZER = "adamw"  # "adam", "adamw" or "sgd"
WEIGHT_DECAY = 1.0
MOMENTUM = 0.9
BATCH_SIZE = 32
LABEL_SMOOTHING = 0.0
WEIGH_CLASSES = False  # whether photos of small classes count more
OVERSAMPLE = False  # whether they are shown more often, until all classes are as large as the largest
AUGMENTATION = "off"  # how strongly training photos are varied: "off", "light", "medium" or "strong"
AUGMENTATION_KINDS = ("flip", "rotation", "zoom", "color")
NUM_VIEWS = 1  # versions of each training photo, the unchanged photo among them
LIVE_AUGMENTATION = False  # whether training photos are varied again in each epoch instead
PATIENCE = 20  # epochs without a lower validation loss until a phase ends; 0 never ends early
SEED = 1

# The phases, one after another. In "layers" are the layers of the backbone that are trained beside the new ones, each
# at this share of the learning rate. Everything up to the layer "frozen_up_to" is frozen; None is no layer.
PHASES = [{"epochs": 50, "learning_rate": 0.003, "frozen_up_to": "pooling", "layers": {}}]

# %% [markdown]
# ## The photos
# Each is put upright and squeezed to a square, by the very code that the app uses.


# %%
def read_photos(folder):
    """Return pixels `[num, size, size, 3]` in 0-255, class indices, names of the photos, and which are for validation.

    The class names come last.
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
                    photo, _orientation = image_path.upright_rgb(opened)
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
    # Other photos than those of the app: every fifth is for validation, drawn at random.
    is_validation = np.random.default_rng(SEED).permutation(len(labels)) % 5 == 0
    return pixels, labels, names, is_validation, class_names


class Batches(keras.utils.PyDataset):
    """Training photos in another order in each epoch, each in one of its versions."""

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
    """Return a version of a photo; where versions are kept, 0 is the photo itself."""
    if not (version or LIVE_AUGMENTATION):
        return photo
    draw = (SEED, version) if LIVE_AUGMENTATION else (version,)
    return augmentation.Augmentation(AUGMENTATION, AUGMENTATION_KINDS).view(photo, name, *draw)


# %% [markdown]
# ## The network
# The new layers turn what the backbone makes of a photo into a probability for each class.


# %%
def build_classifier(backbone, num_classes):
    """Put new layers on the backbone: pixels in, one probability for each class out."""
    if HEAD == "flattened_map":
        x = keras.layers.Flatten()(backbone.output)
    else:
        x = keras.layers.GlobalAveragePooling2D(name="pooling")(backbone.output)
    x = keras.layers.Dropout(DROPOUT, seed=SEED)(x)
    if HEAD == "hidden":
        start = keras.initializers.GlorotUniform(seed=SEED + 1)
        x = keras.layers.Dense(HIDDEN_UNITS, activation="relu", kernel_initializer=start)(x)
    start = keras.initializers.GlorotUniform(seed=SEED)
    outputs = keras.layers.Dense(num_classes, activation="softmax", kernel_initializer=start)(x)
    return keras.Model(backbone.input, outputs)


def make_optimizer(model, phase, num_steps):
    """Return the optimizer of a phase: its steps grow at first, then fade out."""
    peak = phase["learning_rate"]
    # Large first steps would undo what is learned already.
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
# The frozen part computes its features of each photo once where they stay the same; then the new layers train in
# seconds.


# %%
def split_at(model, layer_name):
    """Return the frozen part of the network, None where there is none, and the part that is trained."""
    if layer_name is None:
        return None, model
    boundary = model.get_layer(layer_name).output
    return keras.Model(model.input, boundary), keras.Model(boundary, model.output)


def features_of(frozen, pixels):
    """Return what the frozen part makes of photos."""
    pixels = np.asarray(pixels, np.float32)
    return pixels if frozen is None else frozen.predict(pixels, batch_size=BATCH_SIZE, verbose=0)


def training_inputs(frozen, pixels, names, is_kept):
    """Return a function from the numbers of photos and their versions to what the trained part takes."""

    def inputs(chosen, versions):
        photos = [
            varied(pixels[number], names[number], version)
            for number, version in zip(chosen, versions, strict=True)
        ]
        return features_of(frozen, photos)

    if not is_kept:
        return inputs
    everything = np.arange(len(pixels))
    kept = np.stack([inputs(everything, np.full(len(pixels), version)) for version in range(NUM_VIEWS)])
    return lambda chosen, versions: kept[versions, chosen]


def begin_epoch(batches, tail, epoch):
    """Draw what the app draws for an epoch: the order, the versions, and what dropout hides."""
    batches.begin_epoch(epoch)
    draws = np.random.default_rng([SEED, epoch, 2])
    for layer in tail.layers:
        if hasattr(layer, "seed_generator"):
            layer.seed_generator.state.assign(draws.integers(2**32, size=2, dtype=np.uint32))


def train_phase(model, backbone_layers, phase, batches_of, validation, num_epochs_before):
    """Train one phase up to the weights of its best epoch; return the validation loss of each epoch.

    Args:
        model: The whole network.
        backbone_layers: Names of the layers of the backbone.
        phase: One of PHASES.
        batches_of: Returns the `Batches` for the frozen part of the network.
        validation: Pixels and class indices.
        num_epochs_before: Epochs of the phases before.
    """
    for layer in model.layers:
        layer.trainable = layer.name in phase["layers"] or layer.name not in backbone_layers
    frozen, tail = split_at(model, phase["frozen_up_to"])
    batches = batches_of(frozen, phase)
    tail.compile(
        optimizer=make_optimizer(model, phase, phase["epochs"] * len(batches)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy", keras.metrics.CategoricalCrossentropy(name="cross_entropy")],
    )
    best = keras.callbacks.EarlyStopping(
        # The loss without label smoothing.
        monitor="val_cross_entropy",
        mode="min",
        patience=PATIENCE or phase["epochs"],
        restore_best_weights=True,
    )
    draw = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: begin_epoch(batches, tail, num_epochs_before + epoch + 1)
    )
    pixels, labels = validation
    history = tail.fit(
        batches,
        validation_data=(
            features_of(frozen, pixels),
            keras.utils.to_categorical(labels, batches.num_classes),
        ),
        validation_batch_size=BATCH_SIZE,
        epochs=phase["epochs"],
        # The order is drawn already.
        shuffle=False,
        class_weight=weights_of_classes(batches) if WEIGH_CLASSES else None,
        callbacks=[draw, best],
        verbose=2,
    )
    return history.history["val_cross_entropy"]


def weights_of_classes(batches):
    """Return how much a photo of each class counts: all classes count the same together."""
    counts = np.bincount(batches.labels, minlength=batches.num_classes)
    return {label: counts.sum() / (len(counts) * max(count, 1)) for label, count in enumerate(counts)}


def main(folder):
    """Train, validate, and save the model."""
    keras.utils.set_random_seed(SEED)
    pixels, labels, names, is_validation, class_names = read_photos(folder)
    print(f"{len(labels)} photos of {class_names}, {is_validation.sum()} of them for validation")
    validation = pixels[is_validation], labels[is_validation]
    learned = ~is_validation

    def batches_of(frozen, phase):
        # Where only the new layers are trained, the features of a version never change.
        is_kept = not phase["layers"] and not LIVE_AUGMENTATION
        inputs = training_inputs(frozen, pixels[learned], names[learned], is_kept)
        return Batches(inputs, labels[learned], len(class_names))

    backbone = keras.models.load_model(HERE / "backbone.keras", compile=False)
    backbone_layers = {layer.name for layer in backbone.layers}
    model = build_classifier(backbone, len(class_names))
    losses = []
    for number, phase in enumerate(PHASES, 1):
        print(f"phase {number} of {len(PHASES)}: {len(phase['layers'])} layers of the backbone are trained")
        before = model.get_weights()
        found = train_phase(model, backbone_layers, phase, batches_of, validation, len(losses))
        if min(found) >= min(losses, default=float("inf")):
            model.set_weights(before)
        losses += found

    scores = model.predict(features_of(None, validation[0]), batch_size=BATCH_SIZE, verbose=0)
    accuracy = float(np.mean(scores.argmax(axis=1) == validation[1]))
    # Without the optimizer, which a model needs for training alone.
    keras.Model(model.input, model.output).save("my_model.keras")
    print(f"validation accuracy: {accuracy:.4f}")
    return model


# %%
if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the folder that holds a folder of photos for each class: python train.py FOLDER")
    main(sys.argv[1])
