"""What the scripts share besides figures: the digits they train on, peers that may be absent, claims they check."""

import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

import jax.numpy as jnp
import numpy as np
from jax import Array

from _digits import DataError, Digits, load_mnist, load_small_digits
from _figures import FigureParser


class Split(NamedTuple):
    """Images with their labels."""

    images: Array  # (count, pixels)
    labels: Array  # (count,)


class Splits(NamedTuple):
    """Digits in three parts: to train on, to choose hyperparameters by, and to report."""

    train: Split
    validation: Split
    test: Split


class DigitsParser(FigureParser):
    """The arguments of every figure script (--seed, --out, --quick), and --data-dir for the user's own digits."""

    def __init__(self, description: str | None, picture: str) -> None:
        super().__init__(description, picture)
        self.add_argument("--data-dir", type=Path, help="folder of the MNIST IDX files, to train on these instead")

    def load(self, data_dir: Path | None, seed: int) -> Digits:
        """The digits that the arguments ask for; a bad file is one line and exit code 2."""
        try:
            return load_small_digits(seed) if data_dir is None else load_mnist(data_dir)
        except DataError as error:
            self.error(str(error))


def split(digits: Digits, seed: int, share: float = 0.2) -> Splits:
    """Digits as JAX arrays, a share of the training images set aside for validation."""
    order = np.random.default_rng(seed).permutation(len(digits.train_labels))
    aside = int(share * len(order))
    images, labels = digits.train_images, digits.train_labels
    train, validation = order[aside:], order[:aside]
    return Splits(
        _split(images[train], labels[train]),
        _split(images[validation], labels[validation]),
        _split(digits.test_images, digits.test_labels),
    )


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(jnp.asarray(images), jnp.asarray(labels))


def installed(package: str) -> bool:
    """Whether an optional package is there; where it is not, say so."""
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f"{package} is not installed: its part is left out")
    return found


def check(holds: bool, claim: str, *, on_own_data: bool = False) -> None:
    """Print a claim that holds; end the script with one line and exit code 1 where it does not.

    On the user's own data, which nobody has seen before, a claim that does not hold is only printed.
    """
    if not holds and not on_own_data:
        _fail(f"{Path(sys.argv[0]).name}: this does not hold: {claim}")
    print(f"Checked: {claim}" if holds else f"Not so on this data: {claim}")


def _fail(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(1)
