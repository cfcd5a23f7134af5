"""Handwritten digits: scikit-learn's 1,797 small ones, or MNIST from the user's own IDX files."""

import gzip
import math
import struct
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CLASSES = 10
LARGEST = 2**30  # bytes of one file; MNIST's largest has 47 million


class Digits(NamedTuple):
    """Images as rows of numbers in [0, 1] and their labels, split into a training and a test part."""

    train_images: NDArray[np.float32]  # (train, pixels)
    train_labels: NDArray[np.int32]  # (train,)
    test_images: NDArray[np.float32]  # (test, pixels)
    test_labels: NDArray[np.int32]  # (test,)


class DataError(Exception):
    """A data file is missing or is not what it should be. The message is one line and names the file."""


def load_small_digits(seed: int, test_share: float = 0.2) -> Digits:
    """Scikit-learn's 8 x 8 digits, shuffled by `seed` and split so that both parts hold all classes alike."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data, target = load_digits(return_X_y=True)
    images, labels = np.asarray(data / 16, np.float32), np.asarray(target, np.int32)
    train, test = train_test_split(np.arange(len(labels)), test_size=test_share, random_state=seed, stratify=labels)
    return Digits(images[train], labels[train], images[test], labels[test])


def load_mnist(folder: Path) -> Digits:
    """The four standard MNIST files in `folder`, each plain or with `.gz` at the end of its name."""
    train_images, train_labels = _read_split(folder, "train")
    test_images, test_labels = _read_split(folder, "t10k")
    if train_images.shape[1] != test_images.shape[1]:
        raise DataError(
            f"{_find(folder, 't10k-images-idx3-ubyte')}: {test_images.shape[1]} pixels per image, "
            f"but the training images have {train_images.shape[1]}"
        )
    return Digits(train_images, train_labels, test_images, test_labels)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes: two zeros, type 8, the number of dimensions, the sizes, the values.

    No more is read, or decompressed, than the header promises, and one byte to see that there is no more.
    """
    header, wanted = 4 + 4 * dimensions, bytes([0, 0, 8, dimensions])
    with _opened(path) as file:
        start = file.read(header)
        if start[:4] != wanted[: len(start)]:
            raise DataError(f"{path}: wrong magic number 0x{start[:4].hex()}, wanted 0x{wanted.hex()}")
        if len(start) < header:
            raise DataError(f"{path}: truncated: {len(start)} bytes, but the header alone takes {header}")
        shape = struct.unpack(f">{dimensions}I", start[4:])
        values = math.prod(shape)
        if values == 0:
            raise DataError(f"{path}: holds no data: its header says {shape}")
        if values > LARGEST:
            raise DataError(f"{path}: its header says {shape}, {values:,} bytes, wanted at most {LARGEST:,}")
        content = file.read(values + 1)
    if len(content) < values:
        raise DataError(f"{path}: truncated: {header + len(content)} bytes, but its header asks for {header + values}")
    if len(content) > values:
        raise DataError(f"{path}: too long: its header asks for {header + values} bytes, but it has more")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _read_split(folder: Path, split: str) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    images_path = _find(folder, f"{split}-images-idx3-ubyte")
    labels_path = _find(folder, f"{split}-labels-idx1-ubyte")
    images = read_idx(images_path, dimensions=3)
    labels = read_idx(labels_path, dimensions=1)
    if len(images) != len(labels):
        raise DataError(f"{labels_path}: {len(labels)} labels, but {images_path.name} holds {len(images)} images")
    if labels.max() >= CLASSES:
        raise DataError(f"{labels_path}: label {labels.max()} is not a digit")
    return np.divide(images.reshape(len(images), -1), 255, dtype=np.float32), labels.astype(np.int32)


def _find(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return path
    raise DataError(f"{folder / name}: no such file, plain or .gz")


@contextmanager
def _opened(path: Path) -> Generator[gzip.GzipFile | BufferedReader]:
    """A file to read, decompressed where it is compressed."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: corrupt gzip file: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
