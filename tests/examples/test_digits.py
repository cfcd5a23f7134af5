"""The reader of MNIST's IDX files, and the small digits."""

import gzip
import importlib.util
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parents[2] / "examples" / "_digits.py"
SPEC = importlib.util.spec_from_file_location("examples_digits", SOURCE)
assert SPEC is not None and SPEC.loader is not None
digits = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(digits)

TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"


def idx(array):
    return struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)

    def draw(highest, *shape):
        return random.integers(highest, size=shape, dtype=np.uint8)

    return {
        TRAIN_IMAGES: draw(256, 6, 4, 3),
        TRAIN_LABELS: draw(10, 6),
        TEST_IMAGES: draw(256, 5, 4, 3),
        TEST_LABELS: draw(10, 5),
    }


@pytest.fixture
def folder(tmp_path, arrays):
    for name, array in arrays.items():
        (tmp_path / name).write_bytes(idx(array))
    return tmp_path


def compress(folder):
    for path in list(folder.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


@pytest.mark.parametrize("compressed", [False, True])
def test_round_trip(folder, arrays, compressed):
    if compressed:
        compress(folder)
    data = digits.load_mnist(folder)
    assert data.train_images.dtype == np.float32
    assert data.train_labels.dtype == np.int32
    np.testing.assert_allclose(data.train_images * 255, arrays[TRAIN_IMAGES].reshape(6, 12), rtol=1e-6)
    np.testing.assert_allclose(data.test_images * 255, arrays[TEST_IMAGES].reshape(5, 12), rtol=1e-6)
    np.testing.assert_array_equal(data.train_labels, arrays[TRAIN_LABELS])
    np.testing.assert_array_equal(data.test_labels, arrays[TEST_LABELS])


IMAGES = np.ones((5, 4, 3), np.uint8)
WRONG = {
    "empty": (TEST_IMAGES, b"", "truncated"),
    "half a magic number": (TEST_IMAGES, idx(IMAGES)[:2], "truncated"),
    "half a header": (TEST_IMAGES, idx(IMAGES)[:10], "truncated"),
    "one byte short": (TEST_IMAGES, idx(IMAGES)[:-1], "truncated"),
    "one byte too many": (TEST_IMAGES, idx(IMAGES) + b"0", "too long"),
    "images for labels": (TEST_LABELS, idx(IMAGES), "magic number 0x00000803, wanted 0x00000801"),
    "another format": (TRAIN_IMAGES, b"\x89PNG\r\n\x1a\n", "magic number"),
    "no images": (TRAIN_IMAGES, idx(IMAGES[:0]), "no data"),
    "other count": (TEST_LABELS, idx(np.ones(4, np.uint8)), "4 labels, but t10k-images-idx3-ubyte holds 5"),
    "not a digit": (TEST_LABELS, idx(np.full(5, 10, np.uint8)), "label 10"),
    "a header of 64 GB": (TEST_IMAGES, idx(IMAGES)[:4] + struct.pack(">3I", 4096, 4096, 4096), "wanted at most"),
    "other image size": (TEST_IMAGES, idx(np.ones((5, 3, 3), np.uint8)), "9 pixels"),
}


@pytest.mark.parametrize(("name", "content", "problem"), WRONG.values(), ids=WRONG)
def test_wrong_file_is_one_line_that_names_it(folder, name, content, problem):
    (folder / name).write_bytes(content)
    with pytest.raises(digits.DataError, match=problem) as caught:
        digits.load_mnist(folder)
    assert str(caught.value).startswith(f"{folder / name}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS])
def test_missing_file(folder, name):
    (folder / name).unlink()
    with pytest.raises(digits.DataError, match=f"{name}: no such file"):
        digits.load_mnist(folder)


@pytest.mark.parametrize("damage", ["cut", "not gzip", "flipped bits"])
def test_corrupt_gzip(folder, damage):
    compress(folder)
    path = folder / f"{TRAIN_LABELS}.gz"
    good = path.read_bytes()
    middle = len(good) // 2
    flipped = good[:middle] + bytes(255 - byte for byte in good[middle : middle + 4]) + good[middle + 4 :]
    path.write_bytes({"cut": good[:-9], "not gzip": b"plain text", "flipped bits": flipped}[damage])
    with pytest.raises(digits.DataError, match=f"{path.name}: corrupt gzip"):
        digits.load_mnist(folder)


def test_no_more_is_decompressed_than_the_header_promises(folder):
    path = folder / TRAIN_LABELS
    path.with_suffix(".gz").write_bytes(gzip.compress(path.read_bytes() + bytes(2**26)))
    path.unlink()
    tracemalloc.start()
    try:
        with pytest.raises(digits.DataError, match="too long: its header asks for 14 bytes"):
            digits.read_idx(path.with_suffix(".gz"), dimensions=1)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_folder_in_place_of_a_file(folder):
    (folder / TRAIN_LABELS).unlink()
    (folder / TRAIN_LABELS).mkdir()
    with pytest.raises(digits.DataError, match=f"{TRAIN_LABELS}: "):
        digits.load_mnist(folder)


def test_small_digits():
    pytest.importorskip("sklearn")
    data = digits.load_small_digits(seed=0)
    assert data.train_images.shape == (1437, 64)
    assert data.test_images.shape == (360, 64)
    assert data.train_images.min() == 0 and data.train_images.max() == 1
    assert set(data.test_labels) == set(range(10))
    np.testing.assert_array_equal(data.test_labels, digits.load_small_digits(seed=0).test_labels)
    assert (data.test_labels != digits.load_small_digits(seed=1).test_labels).any()
