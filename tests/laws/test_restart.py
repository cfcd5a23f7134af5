"""Law: a parameter that is reset in the middle of a run, or new in it, moves as at its first step."""

import chex
import jax
import jax.numpy as jnp
import pytest

import gradtx
from tests.catalogue import FIRST, under_laws
from tests.laws.test_states import extra_of
from tests.support import at, make_grads, make_params

SHAPES = {"old": (3, 2), "young": (4, 2)}
STEPS = 2
# Rows in which something goes on that is the run's, and meant to.
GOES_ON = {
    "scale_by_schedule": "the schedule", "ademamix-warmed": "the schedules of alpha and b3",
    "adam-corrected": "the schedule",
    "schedule_free_sgd": "the warm-up", "schedule_free_adamw": "the warm-up",
    "dog-rate": "the tree's distance", "hypergradient": "the learning rate", "sgd_hd": "the learning rate",
    "sgd_hd-nesterov": "the learning rate", "adam_hd": "the learning rate",
    "zclip-unlimited": "the norms seen", "autoclip": "the norms seen",
    "lookahead": "the time to the next sync", "monitor-off": "the time to the next sync",
    "flatten-sgd": "one slot of all parameters", "flatten-adam": "one slot of all parameters",
    "selective_transform-adam-nested7": "one slot of all parameters",
    "scale_by_backtracking_linesearch": "the last step", "scale_by_backtracking_linesearch-values": "the last step",
}  # fmt: skip


@under_laws([row for row in FIRST if row.id in GOES_ON])
def test_the_others_step_on_after_a_reset(row):
    params, grads = make_params(shapes=SHAPES), make_grads(1, shapes=SHAPES)
    step = lambda s: row.tx.update(at(grads, 0), s, params, **extra_of(row, params, at(grads, 0)))[1]
    state = gradtx.reset(row.tx, step(row.tx.init(params)), params, "young")
    chex.assert_trees_all_equal_structs(jax.eval_shape(step, state), state)


@under_laws([row for row in FIRST if row.id not in GOES_ON and not row.random])
def test_reset_and_new_parameters_move_as_at_their_first_step(row):
    params, grads = make_params(shapes=SHAPES), make_grads(STEPS + 1, shapes=SHAPES)
    last = at(grads, STEPS)

    def move(state, grads, extra=None):
        extra = extra_of(row, params, grads) if extra is None else extra
        return row.tx.update(grads, state, params, **extra)[0]["young"]

    first = move(row.tx.init(params), last)
    other = last | {"old": 3 * jnp.cos(last["old"])}
    if not jnp.allclose(first, move(row.tx.init(params), other), rtol=1e-5):
        pytest.skip("its updates depend on all parameters at once")
    state, before = row.tx.init(params), {"old": params["old"]}
    small = None if row.extra else row.tx.init(before)
    for i in range(STEPS):
        state = row.tx.update(at(grads, i), state, params, **extra_of(row, params, at(grads, i)))[1]
        if small is not None:
            small = row.tx.update({"old": grads["old"][i]}, small, before)[1]
    after = gradtx.reset(row.tx, state, params, "young")
    chex.assert_trees_all_close(move(after, last), first, rtol=1e-5)
    if small is not None:
        extended = gradtx.extend(row.tx, small, before, params)
        chex.assert_trees_all_close(move(extended, last), first, rtol=1e-5)
        chex.assert_trees_all_equal_structs(jax.eval_shape(row.tx.update, last, extended, params)[1], extended)
