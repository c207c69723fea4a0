# %% [markdown]
# # Train the same classifier with Keras alone
#
#     pip install -r requirements.txt
#     python train.py FOLDER
#
# FOLDER holds a folder of photos for each class. backbone.keras beside this script is the network that the training
# in the app began with; it takes raw pixels in 0-255. split.csv names the photos for training and for validation.

# %%
import csv
import sys
from pathlib import Path

import augmentation
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
LIVE_AUGMENTATION = False  # whether training photos are varied anew in each epoch instead
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
    """Return pixels `[num, size, size, 3]` in 0-255, class indices, class names, and which are for validation."""
    with (HERE / "split.csv").open(encoding="utf-8", newline="") as file:
        splits = {(class_name, name): split for class_name, name, split in csv.reader(file)}
    class_names = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    pixels, labels, found = [], [], []
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
            found.append(splits.get((class_name, path.name), ""))
    pixels, labels, found = np.stack(pixels), np.array(labels), np.array(found)
    if {"train", "validation"} <= set(found):
        used = found != ""
        print(f"left out: {np.sum(~used)} photos that the app did not train with")
        return pixels[used], labels[used], class_names, found[used] == "validation"
    # Other photos than those of the app: every fifth is for validation, drawn at random.
    return pixels, labels, class_names, np.random.default_rng(SEED).permutation(len(labels)) % 5 == 0


DRAWS = np.random.default_rng(SEED)


class Batches(keras.utils.PyDataset):
    """Training photos in another order in each epoch, each in one of its versions."""

    def __init__(self, inputs, labels, num_classes):
        super().__init__()
        self.inputs, self.labels, self.num_classes = inputs, labels, num_classes
        self.on_epoch_end()

    def __len__(self):
        return -(-len(self.order) // BATCH_SIZE)

    def __getitem__(self, number):
        chosen = self.order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]
        targets = keras.utils.to_categorical(self.labels[chosen], self.num_classes)
        return self.inputs(chosen, self.versions[chosen]), targets

    def on_epoch_end(self):
        """Draw the order and the versions of the next epoch."""
        self.order = DRAWS.permutation(len(self.labels))
        if OVERSAMPLE:
            classes = [self.order[self.labels[self.order] == label] for label in np.unique(self.labels)]
            largest = max(map(len, classes))
            self.order = DRAWS.permutation(np.concatenate([np.resize(one, largest) for one in classes]))
        self.versions = DRAWS.integers(2**31 if LIVE_AUGMENTATION else NUM_VIEWS, size=len(self.labels))


def varied(photo, number, version):
    """Return a version of a photo; 0 is the photo itself."""
    if not version:
        return photo
    return augmentation.Augmentation(AUGMENTATION, AUGMENTATION_KINDS).view(photo, str(number), version)


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
        x = keras.layers.Dense(HIDDEN_UNITS, activation="relu")(x)
    outputs = keras.layers.Dense(num_classes, activation="softmax")(x)
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


def training_inputs(frozen, pixels, is_kept):
    """Return a function from the numbers of photos and their versions to what the trained part takes."""

    def inputs(chosen, versions):
        photos = [
            varied(pixels[number], number, version) for number, version in zip(chosen, versions, strict=True)
        ]
        return features_of(frozen, photos)

    if not is_kept:
        return inputs
    everything = np.arange(len(pixels))
    kept = np.stack([inputs(everything, np.full(len(pixels), version)) for version in range(NUM_VIEWS)])
    return lambda chosen, versions: kept[versions, chosen]


def train_phase(model, backbone_layers, phase, pixels, labels, is_validation):
    """Train one phase up to the weights of its best epoch; return the validation loss of that epoch."""
    for layer in model.layers:
        layer.trainable = layer.name in phase["layers"] or layer.name not in backbone_layers
    frozen, tail = split_at(model, phase["frozen_up_to"])
    num_classes = model.output.shape[-1]
    learned = labels[~is_validation]
    is_kept = not phase["layers"] and not LIVE_AUGMENTATION
    batches = Batches(training_inputs(frozen, pixels[~is_validation], is_kept), learned, num_classes)
    tail.compile(
        optimizer=make_optimizer(model, phase, phase["epochs"] * len(batches)),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy", keras.metrics.CategoricalCrossentropy(name="cross_entropy")],
    )
    counts = np.bincount(learned, minlength=num_classes)
    weights = {label: len(learned) / (num_classes * max(count, 1)) for label, count in enumerate(counts)}
    best = keras.callbacks.EarlyStopping(
        # The loss without label smoothing.
        monitor="val_cross_entropy",
        mode="min",
        patience=PATIENCE or phase["epochs"],
        restore_best_weights=True,
    )
    validation = keras.utils.to_categorical(labels[is_validation], num_classes)
    history = tail.fit(
        batches,
        validation_data=(features_of(frozen, pixels[is_validation]), validation),
        validation_batch_size=BATCH_SIZE,
        epochs=phase["epochs"],
        class_weight=weights if WEIGH_CLASSES else None,
        callbacks=[best],
        verbose=2,
    )
    return min(history.history["val_cross_entropy"])


def main(folder):
    """Train, validate, and save the model."""
    keras.utils.set_random_seed(SEED)
    pixels, labels, class_names, is_validation = read_photos(folder)
    print(f"{len(labels)} photos of {class_names}, {is_validation.sum()} of them for validation")

    backbone = keras.models.load_model(HERE / "backbone.keras", compile=False)
    backbone_layers = {layer.name for layer in backbone.layers}
    model = build_classifier(backbone, len(class_names))
    best_loss = float("inf")
    for number, phase in enumerate(PHASES, 1):
        print(f"phase {number} of {len(PHASES)}: {len(phase['layers'])} layers of the backbone are trained")
        before = model.get_weights()
        loss = train_phase(model, backbone_layers, phase, pixels, labels, is_validation)
        if loss < best_loss:
            best_loss = loss
        else:
            model.set_weights(before)

    scores = model.predict(pixels[is_validation].astype("float32"), batch_size=BATCH_SIZE, verbose=0)
    accuracy = float(np.mean(scores.argmax(axis=1) == labels[is_validation]))
    # Without the optimizer, which a model needs for training alone.
    keras.Model(model.input, model.output).save("my_model.keras")
    print(f"validation accuracy: {accuracy:.4f}")
    return model


# %%
if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the folder that holds a folder of photos for each class: python train.py FOLDER")
    main(sys.argv[1])
