"""How a maker reads its signature: which arguments are leaves, which are static, and what they may be."""

from collections.abc import Callable
from types import MappingProxyType
from typing import Annotated, Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.arguments import Interval, OneOf
from gradtx.core.containers import MappingOf, SequenceOf
from gradtx.core.hyperparameters import Decay, Number, OptionalDType, PositiveInt
from gradtx.core.leafwise import leafwise

rule = lambda g: g


@gradtx.transformation
def annotated(
    rate: Decay,
    steps: PositiveInt = 3,
    *,
    flag: bool = False,
    many: Annotated[Any, SequenceOf(Interval("[0, 1]"))] = (),
    kind: Annotated[str, OneOf("a", "b")] = "a",
    dtype: OptionalDType = None,
    maybe: Number | None = None,
    named: Annotated[Any, MappingOf(Interval("[0, 1]"), str)] = MappingProxyType({}),
    whole: int | None = None,
    function: Callable[[Any], Any] | None = None,
):
    return leafwise(rule)


@gradtx.transformation
def bare(x, y=None, n=2, rate=0.1, flag=True, name="a"):
    return leafwise(rule)


def leaves(tx):
    return [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(tx)]


def test_annotations_say_what_is_a_leaf():
    assert leaves(annotated(0.1, many=[0.5, 1])) == [".rate", ".many[0]", ".many[1]"]
    assert leaves(annotated(0.1, maybe=2.0)) == [".rate", ".maybe"]
    assert annotated(0.1, many=[0.5]).many == (0.5,)
    assert annotated(0.1, cast(Any, np.int64(2))).steps == 2


def test_without_annotations_numbers_arrays_and_values_are_leaves():
    assert leaves(bare(0.1)) == [".x", ".rate"]
    assert leaves(bare(jnp.ones(2), y={"a": 1.0, "b": np.ones(2)})) == [".x", ".y['a']", ".y['b']", ".rate"]
    assert leaves(bare(gradtx.scale(2.0), n=3, flag=False, name="b")) == [".x.step_size", ".rate"]
    assert leaves(bare("text")) == [".rate"]
    assert leaves(bare(True)) == [".rate"]
    assert bare(1.0, n=2) != bare(1.0, n=3)


BAD = [
    (dict(rate=1.0), ValueError, r"annotated: rate must be in \[0, 1\), got 1\.0"),
    (dict(steps=0), ValueError, r"annotated: steps must be in \[1, inf\), got 0"),
    (dict(steps=1.5), TypeError, r"annotated: steps must be a whole number in \[1, inf\), got 1\.5"),
    (dict(steps=lambda step: 1), TypeError, "annotated: steps must be a whole number in"),
    (dict(flag="no"), TypeError, "annotated: flag must be True or False, got 'no'"),
    (dict(many=[0.5, 2]), ValueError, r"annotated: many\[1\] must be in \[0, 1\], got 2"),
    (
        dict(many={"a": 0.5}),
        TypeError,
        r"annotated: many must be a sequence, each a number in \[0, 1\], got {'a': 0.5}",
    ),
    (dict(named=[0.5]), TypeError, r"annotated: named must be a dictionary by name, each a number in \[0, 1\], got \["),
    (dict(named={"a": 2}), ValueError, r"annotated: named\['a'\] must be in \[0, 1\], got 2"),
    (dict(named={1: 0.5}), TypeError, r"annotated: named must be a dictionary by name, .*, got {1: 0.5}"),
    (dict(whole=0.5), TypeError, "annotated: whole must be a whole number, got 0.5"),
    (dict(function=0.5), TypeError, "annotated: function must be a function, got 0.5"),
    (dict(many=0.5), TypeError, r"annotated: many must be a sequence, each a number in \[0, 1\], got 0\.5"),
    (dict(kind="c"), ValueError, "annotated: kind must be one of 'a', 'b', got 'c'"),
    (dict(dtype="int8"), TypeError, "annotated: dtype must be a floating-point dtype or None, got 'int8'"),
    (dict(maybe=lambda step: 1.0), TypeError, "annotated: maybe must be a number in"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=[row[2] for row in BAD])
def test_bad_arguments(arguments, error, message):
    make: Any = annotated
    with pytest.raises(error, match=message):
        make(**({"rate": 0.1} | arguments))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (
            "[0, 1)",
            [0, 0.0, np.float32(0), np.array([0.0, 0.5]), np.nextafter(1, 0)],
            [-1e-30, 1, np.array([0.5, 1])],
        ),
        ("(0, inf)", [5e-324, 1e300, np.array(1.0)], [0, -0.0, np.inf, np.array([1.0, 0.0])]),
        ("[0, inf]", [0, np.inf], [-np.inf, np.nan]),
        ("(-inf, inf)", [-1e300, 10], [np.inf, -np.inf, np.nan]),
    ],
)
def test_intervals(text, inside, outside):
    accept = Interval(text)
    for x in inside:
        accept("f", "x", x)
    for x in outside:
        with pytest.raises(ValueError, match="f: x must be in"):
            accept("f", "x", x)


def test_numpy_scalars_become_the_numbers_they_are():
    numbers: list[Any] = [np.float64(0.5), np.float32(0.5), np.float16(0.5), np.int64(0)]
    for x in numbers:
        tx = annotated(x)
        assert type(tx.rate) is type(x.item())
        assert tx.rate == x
    assert annotated(np.float64(0.1)) == annotated(0.1)
