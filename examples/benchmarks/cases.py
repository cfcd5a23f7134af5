"""What is measured: the parameters of some models, the optimizers, and which pairs of them are the usual ones."""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise, product
from typing import NamedTuple

Shape = tuple[int, ...]


def gpt2() -> list[Shape]:
    """GPT-2 small: 148 leaves, 124 million parameters."""
    d = 768
    block: list[Shape] = [
        (d,),
        (d,),
        (d, 3 * d),
        (3 * d,),
        (d, d),
        (d,),
        (d,),
        (d,),
        (d, 4 * d),
        (4 * d,),
        (4 * d, d),
        (d,),
    ]
    return [(50_257, d), (1024, d), *(block * 12), (d,), (d,)]


def resnet50() -> list[Shape]:
    """ResNet-50: 161 leaves, 25.6 million parameters."""

    def convolution(size: int, inputs: int, outputs: int) -> list[Shape]:
        return [(size, size, inputs, outputs), (outputs,), (outputs,)]

    shapes = convolution(7, 3, 64)
    inputs = 64
    for blocks, width in [(3, 64), (4, 128), (6, 256), (3, 512)]:
        for block in range(blocks):
            shapes += convolution(1, inputs, width) + convolution(3, width, width) + convolution(1, width, 4 * width)
            shapes += convolution(1, inputs, 4 * width) if block == 0 else []
            inputs = 4 * width
    return [*shapes, (2048, 1000), (1000,)]


def mlp() -> list[Shape]:
    """A network of five layers: 10 leaves, 1.2 million parameters."""
    sizes = [784, 512, 512, 512, 512, 10]
    return [shape for m, n in pairwise(sizes) for shape in ((m, n), (n,))]


def alike(count: int) -> list[Shape]:
    """So many leaves of 64 elements."""
    return [(64,)] * count


COUNTS = (10, 30, 100, 300, 1000)
MODELS: dict[str, Callable[[], list[Shape]]] = {
    "one leaf": lambda: [(60_000_000,)],
    "gpt2": gpt2,
    "1000 leaves": partial(alike, 1000),
    "resnet50": resnet50,
    "mlp": mlp,
}
WORKLOADS = MODELS | {f"{count} leaves": partial(alike, count) for count in COUNTS}
LARGE = ("one leaf", "gpt2", "resnet50")  # what --size shrinks; the others are small as they are
OPTIMIZERS = ("adam", "adamw", "adamw + clip", "momentum", "lion", "adafactor", "muon")
DTYPES = ("float32", "bfloat16")


class Absent(Exception):
    """A library has no such optimizer, or not for such parameters."""


class Case(NamedTuple):
    """One row of the table: an optimizer on the parameters of a model."""

    workload: str
    optimizer: str
    size: float
    dtype: str

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of the leaves, each of about `size` times its elements."""
        shapes = WORKLOADS[self.workload]()
        return [shrunk(shape, self.size) for shape in shapes] if self.workload in LARGE else shapes

    @property
    def name(self) -> str:
        """The workload with its size, the optimizer and the type of the parameters."""
        shrunk = self.workload in LARGE and self.size != 1
        return f"{self.workload}{f' × {self.size:g}' if shrunk else ''}, {self.optimizer}, {self.dtype}"

    def traffic(self, params: int, state: int) -> int:
        """Bytes that a step cannot avoid to move; those of params and gradients are as many.

        Params and state are read and written, the gradients are read; to clip by a norm they are read once more.
        """
        return 2 * params + 2 * state + params * (2 if self.optimizer.endswith("clip") else 1)


def usual() -> list[tuple[str, str, str]]:
    """The workloads, optimizers and types that are measured unless more is asked for; what targets are about first."""
    first = product(("one leaf", "gpt2"), ("adam", "adamw"), DTYPES)
    many = [(f"{count} leaves", "adamw + clip", "float32") for count in reversed(COUNTS)]
    rest = product(MODELS, [name for name in OPTIMIZERS if name != "adamw"], ["float32"])
    return list(dict.fromkeys([*first, *many, *rest]))


def every() -> list[tuple[str, str, str]]:
    """All combinations, the usual ones first."""
    return list(dict.fromkeys([*usual(), *product(WORKLOADS, OPTIMIZERS, DTYPES)]))


def shrunk(shape: Shape, size: float) -> Shape:
    """A shape of `size` times the elements and the same proportions; axes of at most 8 stay."""
    large = [axis for axis in shape if axis > 8]
    factor = size ** (1 / max(1, len(large)))
    return tuple(max(8, math.ceil(axis * factor)) if axis > 8 else axis for axis in shape)
