"""What is measured: the parameters of five models, and six optimizers under the name each library knows them by."""

import math
from collections.abc import Callable
from itertools import pairwise
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


WORKLOADS: dict[str, Callable[[], list[Shape]]] = {
    "gpt2": gpt2,
    "resnet50": resnet50,
    "1000 leaves": lambda: [(64,)] * 1000,
    "one leaf": lambda: [(60_000_000,)],
    "mlp": mlp,
}
FIXED = ("1000 leaves", "mlp")  # small as they are: --size leaves them alone
OPTIMIZERS = ("momentum", "adam", "adamw + clip", "lion", "adafactor", "muon")
LIBRARIES = ("gradtx", "gradtx packed", "gradtx XLA", "optax", "torch fused", "torch foreach", "numpy")


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
        return shapes if self.workload in FIXED else [shrunk(shape, self.size) for shape in shapes]


def shrunk(shape: Shape, size: float) -> Shape:
    """A shape of `size` times the elements and the same proportions; axes of at most 8 stay."""
    large = [axis for axis in shape if axis > 8]
    factor = size ** (1 / max(1, len(large)))
    return tuple(max(8, math.ceil(axis * factor)) if axis > 8 else axis for axis in shape)
