# %% [markdown]
# # Train the same classifier with Keras alone
#
#     pip install -r requirements.txt
#     python train.py FOLDER
#
# FOLDER holds a folder of photos for each class. The pretrained network is backbone.keras beside this script; it
# takes raw pixels in 0-255. The photos named in validation.txt are kept to check with, as they were in the app.

# %%
import csv
import sys
from pathlib import Path

import image_path
import keras
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
LEARNING_RATE = 0.003  # of the new layers
EPOCHS = 50
UNFROZEN_LAYERS = ()  # layers of the pretrained network that learn along afterwards
FINE_TUNE_LEARNING_RATE = 0.0001
FINE_TUNE_EPOCHS = 5
BATCH_SIZE = 32
LABEL_SMOOTHING = 0.0
WEIGH_CLASSES = False  # whether photos of small classes count more
PATIENCE = 20  # epochs without a lower validation loss until a phase ends; 0 never ends early
SEED = 1

# %% [markdown]
# ## The photos
# Each is put upright and squeezed to a square, by the very code that the app uses.


# %%
def read_photos(folder):
    """Return pixels `[num, size, size, 3]` in 0-255, class indices, class names, and which are for validation."""
    with (HERE / "validation.txt").open(encoding="utf-8", newline="") as file:
        kept_aside = {tuple(row) for row in csv.reader(file)}
    class_names = sorted(path.name for path in Path(folder).iterdir() if path.is_dir())
    pixels, labels, is_validation = [], [], []
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
            is_validation.append((class_name, path.name) in kept_aside)
    is_validation = np.array(is_validation)
    if is_validation.all() or not is_validation.any():
        # Other photos than those of the app: every fifth is kept aside, drawn at random.
        is_validation = np.random.default_rng(SEED).permutation(len(labels)) % 5 == 0
    return np.stack(pixels), np.array(labels), class_names, is_validation


# %% [markdown]
# ## The network
# The pretrained part stays frozen at first. The new layers turn what it sees into a probability for each class.


# %%
def build_classifier(backbone, num_classes):
    """Put new layers on the pretrained network: pixels in, one probability for each class out."""
    if HEAD == "flattened_map":
        features = keras.layers.Flatten()(backbone.output)
    else:
        features = keras.layers.GlobalAveragePooling2D()(backbone.output)
    x = keras.layers.Dropout(DROPOUT, seed=SEED)(features)
    if HEAD == "hidden":
        x = keras.layers.Dense(HIDDEN_UNITS, activation="relu")(x)
    outputs = keras.layers.Dense(num_classes, activation="softmax")(x)
    return keras.Model(backbone.input, outputs), features


def train(model, inputs, labels, checked_inputs, checked_labels, learning_rate, epochs):
    """Train what is not frozen; keep the weights of the epoch with the lowest validation loss."""
    num_steps = epochs * -(-len(labels) // BATCH_SIZE)
    warm_up = max(num_steps // 10, 1)
    # The steps grow at first, then fade out: large first steps would undo what is learned already.
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(num_steps - warm_up, 1), warmup_target=learning_rate, warmup_steps=warm_up
    )
    optimizer = {
        "adam": lambda: keras.optimizers.Adam(rate),
        "adamw": lambda: keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY),
        "sgd": lambda: keras.optimizers.SGD(rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY or None),
    }[OPTIMIZER]()
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    num_classes = model.output.shape[-1]
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=LABEL_SMOOTHING),
        metrics=["accuracy"],
    )
    counts = np.bincount(labels, minlength=num_classes)
    weights = {label: len(labels) / (num_classes * max(count, 1)) for label, count in enumerate(counts)}
    model.fit(
        inputs,
        keras.utils.to_categorical(labels, num_classes),
        validation_data=(checked_inputs, keras.utils.to_categorical(checked_labels, num_classes)),
        epochs=epochs,
        batch_size=BATCH_SIZE,
        class_weight=weights if WEIGH_CLASSES else None,
        callbacks=[
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=PATIENCE or epochs, restore_best_weights=True
            )
        ],
        verbose=2,
    )


# %% [markdown]
# ## Training
# The frozen part looks at each photo once; then the new layers train in seconds. After that some layers of the
# pretrained network may learn along, in small steps.


# %%
def main(folder):
    """Train, check, and save the model."""
    keras.utils.set_random_seed(SEED)
    pixels, labels, class_names, is_validation = read_photos(folder)
    print(f"{len(labels)} photos of {class_names}, {is_validation.sum()} of them kept to check with")
    learned, checked = ~is_validation, is_validation

    backbone = keras.models.load_model(HERE / "backbone.keras", compile=False)
    backbone.trainable = False
    model, features = build_classifier(backbone, len(class_names))

    seen = keras.Model(model.input, features).predict(pixels, batch_size=BATCH_SIZE, verbose=0)
    head = keras.Model(features, model.output)
    train(head, seen[learned], labels[learned], seen[checked], labels[checked], LEARNING_RATE, EPOCHS)

    if UNFROZEN_LAYERS:
        for layer in model.layers:
            # BatchNormalization stays as it is: few photos would spoil its statistics.
            if layer.name in UNFROZEN_LAYERS and not isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = True
        train(
            model,
            pixels[learned],
            labels[learned],
            pixels[checked],
            labels[checked],
            FINE_TUNE_LEARNING_RATE,
            FINE_TUNE_EPOCHS,
        )

    scores = model.predict(pixels[checked], batch_size=BATCH_SIZE, verbose=0)
    accuracy = float(np.mean(scores.argmax(axis=1) == labels[checked]))
    model.save("my_model.keras")
    print(f"validation accuracy: {accuracy:.4f}")
    return model


# %%
if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the folder that holds a folder of photos for each class: python train.py FOLDER")
    main(sys.argv[1])
