"""Odd values: what somebody may give where something else is wanted, of every kind that has gone wrong."""

import decimal
import fractions
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import gradtx


class Bare:
    """An object that is nothing."""


class Rude:
    """An object that refuses every question about it."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __eq__(self, other):
        raise RuntimeError("no comparison")

    def __bool__(self):
        raise RuntimeError("no truth")

    def __repr__(self):
        raise RuntimeError("no repr")


class Pair:
    """Has the names of a transformation, and nothing behind them."""

    init = update = 3


class Unhashable(dict):  # pyright: ignore[reportMissingTypeArgument]
    """A callable that has no hash."""

    def __call__(self, step):
        return 0.1


def deleted():
    x = jnp.ones(2)
    x.delete()
    return x


def of_three(a, b, c):
    return a


def of_names(*, a, b):
    return a


# By how each is written. A function gives a fresh one, for what can be used up or be changed.
ODD: dict[str, Any] = {
    "None": None, "True": True, "0": 0, "1": 1, "-1": -1, "2": 2, "10**12": 10**12, "10**400": 10**400,
    "-(10**400)": -(10**400), "10**5000": 10**5000, "0.0": 0.0, "-0.0": -0.0, "0.5": 0.5, "1.5": 1.5, "-0.5": -0.5,
    "1e300": 1e300, "5e-324": 5e-324, "inf": float("inf"), "-inf": float("-inf"), "nan": float("nan"), "1j": 1j,
    "text": "text", "empty text": "", "digits": "0.1", "bytes": b"1", "[]": [], "()": (), "{}": {}, "[0.5]": [0.5],
    "(0.5,)": (0.5,), "[[0.5, 1]]": [[0.5, 1.0]], "(1, 2, 3)": (1.0, 2.0, 3.0), "(nan, 1, 1)": (float("nan"), 1.0, 1.0),
    "(True, 1, 1)": (True, 1.0, 1.0), "['a', 'b']": ["a", "b"], "('a', 1)": ("a", 1), "(0, 0)": (0, 0),
    "{1}": {1}, "frozenset": frozenset((1,)), "{'a': 1}": {"a": 1.0}, "{'a': True}": {"a": True},
    "{'a': {1}}": {"a": {1}}, "{1: 0, 'a': 0}": {1: 0.5, "a": 0.5}, "{'a': f}": {"a": lambda updates: updates},
    "{'a': 5}": {"a": 5}, "{5: inner}": {5: gradtx.identity()}, "[inner]": [gradtx.identity()],
    "object": Bare(), "rude": Rude(), "class": Bare, "int": int, "jnp.float32": jnp.float32, "np.float64": np.float64,
    "dtype": np.dtype("float16"), "big-endian": np.dtype(">f4"), "float128": np.dtype("longdouble"),
    "records": np.dtype("f4,f4"), "pair of numbers": Pair(), "Pair": Pair, "slice": slice(0, 1),
    "ellipsis": ..., "NotImplemented": NotImplemented, "Decimal": decimal.Decimal(1),
    "Fraction": fractions.Fraction(1, 2),
    "range": range(3), "generator": lambda: None, "module": np,
    "np.float16": np.float16(0.5), "np.bool_": np.True_, "np.int64": np.int64(2), "np.longdouble": np.longdouble(0.5),
    "np.str_": np.str_("mean"), "np.datetime64": np.datetime64("2020-01-01"), "np.complex64": np.complex64(1j),
    "np 0-d": np.array(0.5), "np 0-d int": np.array(2), "np 0-d bool": np.array(True), "np 1-d": np.array([0.5, 0.25]),
    "np 1-d int": np.array([1, 2]), "np 2-d": np.full((2, 3), 0.5), "np empty": np.array([]),
    "np text": np.array(["mean", "sum"]), "np objects": np.array([None, Bare()]), "np nan": np.array([0.5, np.nan]),
    "np longdouble": np.array([0.5], np.longdouble), "np bool": np.array([True, False]),
    "np big": np.array([2**62]), "jnp 0-d": jnp.array(0.5), "jnp 1-d": jnp.array([0.5, 0.25]),
    "jnp bfloat16": jnp.array(0.5, jnp.bfloat16), "jnp 1j": jnp.array(1j), "jnp bool": jnp.array(True),
    "jnp int8": jnp.array(1, jnp.int8), "jnp nan": jnp.array(jnp.nan), "key": jax.random.key(0),
    "old key": jax.random.PRNGKey(0), "keys": jax.random.split(jax.random.key(0)), "deleted": deleted(),
    "struct": jax.ShapeDtypeStruct((), jnp.float32), "spec": jax.sharding.PartitionSpec("x"),
    "maker": gradtx.adam, "schedule maker": gradtx.cosine_decay_schedule, "kind maker": gradtx.coupled,
    "inner": gradtx.identity(), "decay": gradtx.coupled(0.1), "range of values": gradtx.uniform(0.0, 1.0),
    "schedule": gradtx.constant_schedule(0.5), "skip": gradtx.skip_not_finite(), "pair": (lambda p: (), of_three),
    "dimensions": gradtx.DimensionNumbers(0, 1), "odd dimensions": gradtx.DimensionNumbers("a", {1}),  # pyright: ignore[reportArgumentType]
    "lambda": lambda: 0.5, "step -> 0.5": lambda step: 0.5, "step -> text": lambda step: "text",
    "step -> None": lambda step: None, "step -> 1j": lambda step: 1j, "step -> vector": lambda step: jnp.full(3, 0.5),
    "step -> list": lambda step: [0.5], "step -> 10**400": lambda step: 10**400, "step -> step": lambda step: step,
    "step -> raise": lambda step: Bare().nothing, "step -> float(step)": lambda step: float(step),  # pyright: ignore[reportArgumentType]
    "step -> table": lambda step: [0.5, 0.25][step], "step -> np": lambda step: np.exp(-step),
    "step -> schedule": lambda step: gradtx.constant_schedule(0.5), "step -> set": lambda step: {1},
    "of three": of_three, "of names": of_names, "of all": lambda *args, **kwargs: args[0],
    "partial": functools.partial(of_three, 1),
    "jitted": jax.jit(lambda step: step.astype(float)), "jnp.tanh": jnp.tanh, "max": max, "print": print, "dict": dict,
    "unhashable function": Unhashable(), "Partial": jax.tree_util.Partial(lambda x, step: x, jnp.ones(2)),
}  # fmt: skip
