"""Random steps against what rounding allows, in float64: whatever shares memory, casts, is fused or is held."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.codecs.coded import opened
from gradtx.core.one_pass import in_one_pass
from gradtx.native.operations import NAMED
from tests.native import operations
from tests.native.intervals import Interval
from tests.native.programs import RandomStep
from tests.native.support import calls, needs_native

pytestmark = needs_native


def check(seed, plain=False):
    """Run one random step; how many numbers it gave, of how many much is known, and how many calls it made."""
    program, closed = RandomStep.make(seed), jnp.float32(0.75)
    arguments, kept = program.arguments(seed), program.arguments(seed)
    function = lambda closed, *xs: in_one_pass(program.step(closed), *xs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some donated buffers were not usable")
        lowered = jax.jit(function, donate_argnums=[k + 1 for k in program.donate]).lower(closed, *arguments)
        found = lowered.compile()(closed, *arguments)
    allowed = program.intervals(closed, *kept)
    numbers = known = 0
    for what, x in [("native", found)] + ([("plain", run_plain(program, closed, kept))] if plain else []):
        trees = (opened(x), allowed)
        ours, theirs = (jax.tree.leaves(t, is_leaf=lambda x: isinstance(x, Interval)) for t in trees)
        for k, (x, interval) in enumerate(zip(ours, theirs, strict=True)):
            assert x.dtype.name == interval.dtype
            right = interval.contains(x)
            assert right.all(), report(program, seed, what, k, np.asarray(x), interval, right)
            numbers, known = numbers + x.size, known + interval.is_tight().sum()
    for k in set(range(3)) - set(program.donate):
        same = jax.tree.map(lambda x, y: np.asarray(x).tobytes() == np.asarray(y).tobytes(), arguments[k], kept[k])
        assert all(jax.tree.leaves(same)), f"seed {seed}: argument {k} was overwritten, and it was not donated"
    return np.array([numbers, known, calls(lowered.as_text())])


def run_plain(program, closed, arguments):
    with gradtx.native.off():
        return jax.jit(lambda closed, *xs: in_one_pass(program.step(closed), *xs))(closed, *arguments)


def report(program, seed, what, leaf, x, interval, right):
    at = tuple(np.argwhere(~right)[0])
    parts = "\n".join(
        "\n".join(
            [
                f"{p.shape} x {p.count} {p.types} gives {p.outputs}",
                *(f"  {k + len(p.types)}: {i}" for k, i in enumerate(p.code)),
            ]
        )
        for p in program.parts
    )
    return (
        f"seed {seed}, {what}, output {leaf}, {(~right).sum()} of {x.size} numbers: at {at} {x[at]} is not within "
        f"[{interval.low[at]}, {interval.high[at]}]; donated {program.donate}\n{parts}"
    )


def check_all(seeds):
    with jax.enable_x64(True):
        numbers, known, native = sum(check(seed, plain=seed % 10 == 0) for seed in seeds)
    assert known > 0.85 * numbers
    assert native > 0.5 * len(seeds)


def test_they_use_every_operation_of_the_machine():
    """In what an output depends on; loads, stores, roundings and sums are made of dtypes, codes are in test_codes."""
    used = set()
    for part in (part for seed in range(180) for part in RandomStep.make(seed).parts):
        live, first = set(part.outputs), len(part.types)
        for k in reversed(range(len(part.code))):
            if first + k in live:
                used.add(part.code[k].op)
                live.update(x for x in part.code[k].operands if isinstance(x, int))
    assert used >= {
        op
        for op in NAMED
        if op not in ("load", "store", "store_held", "sum", "decode", "encode") and not op.startswith("round")
    }
    assert used == {*operations.OPS, "cast", "narrow"}


@pytest.mark.parametrize("part", range(5))
def test_random_steps(part):
    """180 steps, of 360 leaves or groups of leaves with a program each."""
    check_all(range(36 * part, 36 * part + 36))


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(10))
def test_more_random_steps(part):
    """And 3,000."""
    check_all(range(1000 + 300 * part, 1300 + 300 * part))
