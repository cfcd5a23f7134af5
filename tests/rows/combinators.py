"""Rows: combinators around three optimizers, and nested two deep."""

from typing import Any

import jax
import numpy as np

import gradtx
from gradtx.core import tree
from tests.oracles import combinators as oracles
from tests.oracles.adam import plain_adam
from tests.rows import Row


def odd(step):
    """Steps 1, 3, ..."""
    return step % 2 == 1


def is_vector(params):
    """The leaves that are vectors."""
    return jax.tree.map(lambda x: np.ndim(x) == 1, params)


def doubled(updates):
    """Twice the updates."""
    return jax.tree.map(lambda g: 2 * g, updates)


def plus_param(g, p):
    """The update plus half the parameter."""
    return g + 0.5 * p


def size(params, grads):
    """A weight that is the same for a complex number and for its parts, whatever its phase."""
    return {"weight": tree.norm_sq(grads)}


FUNCTIONS = {f.__name__: f for f in (odd, is_vector, doubled, plus_param)}
SGD, ADAM = gradtx.sgd(0.1, 0.9), gradtx.adam(0.01)
BASES = {
    "sgd": (SGD, oracles.sgd, "pairs"),
    "adam": (ADAM, plain_adam, "modulus"),
    "clipped": (
        gradtx.chain(gradtx.clip_by_global_norm(0.7), gradtx.rmsprop(0.01)),
        oracles.clipped_rmsprop,
        "modulus",
    ),
}


def around(name):
    """The row of every combinator around one optimizer."""
    tx, oracle, kind = BASES[name]
    other, other_oracle = (ADAM, plain_adam) if name != "adam" else (SGD, oracles.sgd)
    same: dict[str, Any] = dict(complex=kind, label=name)
    masked = oracles.at_odd(oracle, oracles.zeros)
    weighted = oracles.accumulated(oracle, 2, weigh=lambda gs: sum(np.sum(g**2) for g in gs))
    rarely = oracles.accumulated(oracle, 2, keep=lambda gs: sum(np.sum(g**2) for g in gs) <= 66)
    return [
        Row(gradtx.apply_if_finite(tx, 2), oracle, **same),
        Row(gradtx.conditionally_mask(tx, odd), masked, **same),
        Row(gradtx.conditionally_transform(tx, odd), oracles.at_odd(oracle, lambda gs: gs), **same),
        Row(gradtx.accumulate(tx, 4), oracles.accumulated(oracle, 4), **same),
        Row(gradtx.accumulate(tx, 2), weighted, size, complex=kind, label=f"{name}-weighted"),
        Row(gradtx.accumulate(tx, 2, skip=gradtx.skip_large_updates(66.0)), rarely, complex=kind, label=f"{name}-skip"),
        Row(gradtx.selective_transform(tx, freeze_mask=is_vector), oracles.without_vectors(oracle), **same),
        Row(
            gradtx.chain(tx, gradtx.freeze(is_vector)),
            oracles.zero_vectors(oracle),
            complex=kind,
            label=f"{name}-freeze",
        ),
        Row(gradtx.flatten(tx), oracle, **same),
        Row(gradtx.split_real_and_imaginary(tx), oracle, complex="pairs", label=name),
        Row(gradtx.graft(tx, other), oracles.grafted(oracle, other_oracle, "leaf"), label=name),
        Row(gradtx.graft(tx, other, per="tree"), oracles.grafted(oracle, other_oracle, "tree"), label=f"{name}-tree"),
    ]


def nested(name, i):
    """Combinators around combinators around one optimizer: every third, from the i-th."""
    tx, oracle, kind = BASES[name]
    pair = oracles.accumulated(oracle, 2)
    masked = oracles.at_odd(oracle, oracles.zeros)
    pairs = gradtx.accumulate(tx, 2)
    rows = [
        (gradtx.accumulate(gradtx.apply_if_finite(tx, 2), 2), pair),
        (gradtx.apply_if_finite(pairs, 2), pair),
        (gradtx.accumulate(gradtx.conditionally_mask(tx, odd), 2), oracles.accumulated(masked, 2)),
        (gradtx.conditionally_mask(pairs, odd), oracles.at_odd(pair, oracles.zeros)),
        (gradtx.accumulate(pairs, 2), oracles.accumulated(pair, 2)),
        (gradtx.conditionally_transform(gradtx.flatten(tx), odd), oracles.at_odd(oracle, lambda gs: gs)),
        (gradtx.flatten(pairs), pair),
        (gradtx.selective_transform(gradtx.flatten(tx), freeze_mask=is_vector), oracles.without_vectors(oracle)),
        (gradtx.split_real_and_imaginary(pairs), pair),
        (
            gradtx.graft(pairs, gradtx.accumulate(ADAM, 2)),
            oracles.grafted(pair, oracles.accumulated(plain_adam, 2), "leaf"),
        ),
    ][i::3]
    kinds = [
        "pairs" if tx.name == "split_real_and_imaginary" else "modulus" if tx.name == "graft" else kind
        for tx, _ in rows
    ]
    return [
        Row(tx, oracle, complex=kind, label=f"{name}-nested{i + 3 * k}")
        for k, ((tx, oracle), kind) in enumerate(zip(rows, kinds, strict=True))
    ]


ROWS = [
    Row(gradtx.stateless(doubled), lambda theta, grads: [[2 * g for g in gs] for gs in grads], complex="pairs"),
    Row(gradtx.stateless_leafwise(plus_param), oracles.plus_param, complex="pairs"),
    Row(gradtx.freeze(True), lambda theta, grads: [oracles.zeros(gs) for gs in grads], complex="pairs"),
    *(row for name in BASES for row in around(name)),
    *(row for i, name in enumerate(BASES) for row in nested(name, i)),
]

# The base that asks most of each combinator, around which it runs all laws: where steps are left out, Adam's count and
# averages must stand still; where leaves are, or are joined, a norm over the tree shows it; grafting joins two states.
ASKED = dict(apply_if_finite="adam", conditionally_mask="adam", conditionally_transform="adam", accumulate="adam")
ASKED |= dict(selective_transform="clipped", chain="clipped", flatten="clipped", split_real_and_imaginary="clipped")
ASKED |= dict(graft="sgd")
HARDEST = [row for row in ROWS if row.label.partition("-")[0] == ASKED.get(row.tx.name, "") or "nested" in row.label]
