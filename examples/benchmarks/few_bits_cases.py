"""What is trained with few bits: optimizers, ways to keep their slots or the parameters, and which with which."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gradtx
from gradtx import GradientTransformation

Wrap = Callable[[GradientTransformation], GradientTransformation]


class Way(NamedTuple):
    """How slots are kept, or the parameters."""

    wrap: Wrap
    dtype: str = "float32"  # of the parameters


class Optimizer(NamedTuple):
    """A maker of an optimizer, given a learning rate for Adam; its training takes so many times a task's steps."""

    make: Callable[[float], GradientTransformation]
    times: int = 1


class Case(NamedTuple):
    """An optimizer and a way, by their names."""

    optimizer: str
    way: str


PLAIN = "float32"
CODECS = {
    "bfloat16": "bfloat16",
    "log8": gradtx.log8(smallest=0),
    "int8": gradtx.int8(smallest=0),
    "int8, stochastic": gradtx.int8(rounding="stochastic", smallest=0),
    "float8": gradtx.float8(smallest=0),
    "int4, stochastic": gradtx.int4(rounding="stochastic", smallest=0),
    "log4": gradtx.log4(smallest=0),
}
KEEPINGS = {
    "stochastic": gradtx.stochastic(),
    "kahan": gradtx.kahan(),
    "residual(8)": gradtx.residual(8),
    "residual(16)": gradtx.residual(16),
    "master": gradtx.master(),
}


def slots(way: Any, **named: Any) -> Way:
    """Every slot but copies of parameters in codes, small ones too, or in a dtype; some by name in others."""
    return Way(lambda tx: gradtx.stored(tx, way, **named))


def parameters(keeping: Any) -> Way:
    """Parameters of 16 bits, of which what is below their spacing is kept, or left to chance."""
    return Way(lambda tx: gradtx.kept(tx, keeping), "bfloat16")


WAYS = {
    PLAIN: Way(lambda tx: tx),
    **{name: slots(way) for name, way in CODECS.items()},
    "int4, stochastic, nu in log8": slots(CODECS["int4, stochastic"], nu=CODECS["log8"]),
    "log8, z too": slots(CODECS["log8"], z=CODECS["log8"]),  # a copy of the parameters
    "int8, z too": slots(CODECS["int8"], z=CODECS["int8"]),
    "bfloat16 parameters": Way(lambda tx: tx, "bfloat16"),
    **{f"bfloat16 parameters, {name}": parameters(keeping) for name, keeping in KEEPINGS.items()},
}

OPTIMIZERS = {
    "adamw": Optimizer(gradtx.adamw),
    "lion": Optimizer(lambda rate: gradtx.lion(rate / 10)),
    "muon": Optimizer(lambda rate: gradtx.muon(10 * rate, adam_learning_rate=rate)),
    "ademamix": Optimizer(gradtx.ademamix),
    "schedule_free_adamw": Optimizer(lambda rate: gradtx.schedule_free_adamw(2.5 * rate)),
    "accumulate(adamw, 4)": Optimizer(lambda rate: gradtx.accumulate(gradtx.adamw(rate), 4)),
    "adamw, a tenth of the rate": Optimizer(lambda rate: gradtx.adamw(rate / 10), times=3),
}

EIGHT = (PLAIN, "log8", "int8")
CASES = [
    Case(optimizer, way)
    for optimizer, ways in {
        "adamw": (PLAIN, *CODECS, "int4, stochastic, nu in log8"),
        "lion": (PLAIN, *CODECS),
        "muon": EIGHT,
        "ademamix": (*EIGHT, "int8, stochastic"),  # to the nearest, its average of decay 0.9999 hardly moves
        "schedule_free_adamw": (*EIGHT, "log8, z too", "int8, z too"),
        "accumulate(adamw, 4)": EIGHT,
        "adamw, a tenth of the rate": (PLAIN, *(name for name, way in WAYS.items() if way.dtype != PLAIN)),
    }.items()
    for way in ways
]
