"""Rows: wrappers."""

import jax
import jax.numpy as jnp

import gradtx
from gradtx.core import precision, tree
from tests.oracles import adam, wrappers
from tests.rows import Row

COPIES = {"init": "keeps a copy of the parameters"}


def momentum():
    """The first of three optimizers that are wrapped."""
    return gradtx.sgd(0.1, 0.9)


def clipped():
    """Another, which is a chain with a state of its own."""
    return gradtx.chain(gradtx.clip_by_global_norm(0.7), gradtx.rmsprop(0.01))


def uphill(params, grads):
    """A gradient function: that of the step, plus half the parameters."""
    gradient = lambda q: jax.tree.map(lambda g, x: g + x / 2, precision.widen(grads), precision.widen(q))
    return {"grad_fn": gradient}


def bounded(params, grads):
    """A value that stays finite however far the parameters go."""
    wave = lambda x: jnp.sin(x.real) + jnp.sin(x.imag)
    return {"value": tree.total(jax.tree.map(wave, precision.widen(params)))}


PLATEAU = dict(factor=0.5, patience=2, rtol=0.01, cooldown=1, accumulation_size=2, min_scale=0.2)

ROWS = [
    Row(gradtx.lookahead(momentum(), 3, 0.4), wrappers.lookahead(wrappers.sgd), exempt=COPIES, complex="pairs"),
    Row(
        gradtx.lookahead(gradtx.adam(0.01), 2, 0.6, reset_state=True),
        wrappers.lookahead(adam.plain_adam),
        exempt=COPIES,
        label="reset",
    ),
    Row(
        gradtx.lookahead(gradtx.lookahead(clipped(), 2, 0.5), 3, 1 / 3),
        wrappers.nested_lookahead,
        exempt=COPIES,
        label="nested",
    ),
    Row(
        gradtx.schedule_free(clipped(), 0.01, 0.8, weight_step_power=1.0),
        wrappers.schedule_free_rmsprop,
        exempt=COPIES,
    ),
    Row(
        gradtx.schedule_free_sgd(0.1, 5.0, weight_decay=0.1), wrappers.schedule_free_sgd, exempt=COPIES, complex="pairs"
    ),
    Row(
        gradtx.schedule_free_adamw(0.01, 5.0, b2=0.99, weight_decay=0.1, weight_lr_power=1.0),
        wrappers.schedule_free_adamw,
        exempt=COPIES,
    ),
    Row(gradtx.schedule_free_radam(0.01, 0.8, weight_decay=0.1), wrappers.schedule_free_radam, exempt=COPIES),
    Row(gradtx.scale_to_norm(0.3), wrappers.scale_to_norm, complex="pairs"),
    Row(gradtx.scale_to_adaptive_norm(0.3, 0.02), wrappers.scale_to_adaptive_norm),
    Row(
        gradtx.sharpness_aware(momentum(), gradtx.scale_to_norm(0.3)),
        wrappers.sharpness_aware,
        extra=uphill,
        complex="pairs",
    ),
    Row(gradtx.sam(momentum(), 0.3), wrappers.sam, extra=uphill, complex="pairs"),
    Row(
        gradtx.sam(momentum(), 0.3, alternate=True),
        wrappers.alternating_sam,
        exempt=COPIES,
        complex="pairs",
        label="alternating",
    ),
    Row(
        gradtx.asam(momentum(), 0.3),
        wrappers.sam,
        extra=uphill,
        exempt={"complex": "grad_fn sees whole parameters; the alternating row has none"},
    ),
    Row(gradtx.asam(momentum(), 0.3, alternate=True), wrappers.alternating_sam, exempt=COPIES, label="alternating"),
    Row(gradtx.ema_params(momentum(), 0.9, warmup=True), wrappers.sgd, complex="pairs"),
    Row(gradtx.ema_params(gradtx.adam(0.01), 0.9, debias=False), adam.plain_adam, exempt=COPIES, label="raw"),
    Row(gradtx.swa_params(clipped(), 3, 2), wrappers.clipped_rmsprop),
    Row(gradtx.polyak_params(gradtx.adam(0.01), 5), adam.plain_adam),
    Row(gradtx.reduce_on_plateau(**PLATEAU), wrappers.reduce_on_plateau, extra=bounded, complex="pairs"),
    Row(gradtx.inject_hyperparams(gradtx.adam)(0.01), adam.plain_adam),
    Row(gradtx.inject_hyperparams(clipped()), wrappers.clipped_rmsprop, label="value"),
    # Parameters of 32 bits are left alone; of 16 bits, see tests/laws/test_kept.py.
    Row(gradtx.kept(momentum(), gradtx.residual()), wrappers.sgd, complex="pairs"),
    Row(gradtx.kept(momentum(), gradtx.stochastic(3)), wrappers.sgd, complex="pairs", label="stochastic"),
    Row(gradtx.kept(momentum(), gradtx.kahan()), wrappers.sgd, complex="pairs", label="kahan"),
    Row(gradtx.kept(momentum(), gradtx.master()), wrappers.sgd, complex="pairs", label="master"),
    Row(gradtx.monitor(clipped()), wrappers.clipped_rmsprop),
    Row(
        gradtx.monitor(gradtx.lookahead(momentum(), 3, 0.4), on=False),
        wrappers.watched_lookahead,
        exempt=COPIES,
        label="off",
    ),
]
