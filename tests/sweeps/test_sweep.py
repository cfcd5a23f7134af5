"""Sweeps: members equal separate runs, on any devices, in any chunks, beside members that diverge."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

import gradtx
from tests.support import plain

STEPS = 12
CURVATURES = jnp.array([1.0, 10.0])
ARGS = (CURVATURES,)
RANGES = {"learning_rate": gradtx.log_uniform(1e-3, 0.1), "momentum": gradtx.uniform(0.0, 0.9)}


def loss(params, curvatures):
    return jnp.sum(curvatures * params["w"] ** 2) / 2


def init(tx, curvatures):
    params = {"w": jnp.ones(2)}
    return params, tx.init(params)


def step(tx, state, i, curvatures):
    grads = jax.grad(loss)(state[0], curvatures)
    return gradtx.step(tx, *state, jax.tree.map(lambda g: g * jnp.where(i % 2 == 0, 1.0, 2.0), grads))


def score(state, curvatures):
    return loss(state[0], curvatures)


def sampled(n=11, maker=gradtx.sgd):
    return gradtx.sweep(maker, RANGES, n, key=1)


def train(sweep, **options):
    return sweep.train(init, step, score, STEPS, args=ARGS, **options)


@jax.jit
def alone(tx):
    """One member's run, in a program of its own."""
    state = jax.lax.fori_loop(0, STEPS, lambda i, state: step(tx, state, i, CURVATURES), init(tx, CURVATURES))
    return score(state, CURVATURES), state


def assert_equal_to_separate_runs(result):
    assert len(result.scores) == len(result.sweep)
    for i, member in enumerate(result.sweep.members):
        wanted_score, wanted_state = alone(member)
        np.testing.assert_allclose(result.scores[i], wanted_score, rtol=1e-5)
        chex.assert_trees_all_close(plain(result.state(i)), plain(wanted_state), rtol=1e-5, atol=1e-7)


def test_members_equal_separate_runs():
    result = train(sampled())
    assert_equal_to_separate_runs(result)
    assert (result.steps == STEPS).all()
    best = int(np.argmin(result.scores))
    assert result.order[0] == best and result.best == result.sweep.members[best]
    assert result.best == gradtx.sgd(*(column[best] for column in result.sweep.values.values()))
    assert (np.diff(result.scores[result.order]) >= 0).all()


def test_eight_devices_equal_one():
    assert len(jax.devices()) == 8
    everywhere, here = train(sampled()), train(sampled(), devices=jax.devices()[:1])
    chex.assert_trees_all_close((everywhere.scores, everywhere.states), (here.scores, here.states), rtol=1e-6)


def test_chunks_equal_the_whole_and_stay_in_their_bytes():
    sweep, devices = sampled(21), jax.devices()[:2]
    whole = train(sweep, devices=devices)
    member = 4 * sum(x[0].size for x in jax.tree.leaves(sweep.tx)) + 2 * 16  # hyperparameters, two states of 4 numbers
    before = sum(x.nbytes for x in jax.live_arrays())
    seen = []

    def progress(done, total):
        seen.append((done, total, sum(x.nbytes for x in jax.live_arrays()) - before))

    result = train(sweep, max_bytes=8 + 3 * member, devices=devices, rounds=2, progress=progress)
    chex.assert_trees_all_close((result.scores, result.states), (whole.scores, whole.states), rtol=1e-6)
    # Four chunks of six, the last of three and three copies; two rounds each.
    assert [done for done, *_ in seen] == [36, 72, 108, 144, 180, 216, 234, 252]
    assert {total for _, total, _ in seen} == {252}
    # On a CPU what is finished, states and scores of 20 bytes a member, lies where the devices' arrays do.
    assert all(used - 6 * 20 * ((done - 1) // 72) <= 2 * (8 + 3 * member) for done, _, used in seen)


def test_one_trace_for_all_chunks_rounds_and_sweeps():
    chex.clear_trace_counter()
    traced = chex.assert_max_traces(step, n=2)  # once to check its types, once in the program
    for key in (1, 2):
        sweep = gradtx.sweep(gradtx.sgd, RANGES, 7, key=key)
        result = sweep.train(init, traced, score, STEPS, args=ARGS, max_bytes=200, devices=jax.devices()[:1], rounds=5)
        assert_equal_to_separate_runs(result)


def test_a_diverged_member_is_worst_and_alone():
    rates = [0.01, 1e30, 0.1]
    result = train(gradtx.Sweep(gradtx.sgd, {"learning_rate": rates, "momentum": [0.0, 0.5, 0.9]}))
    healthy = train(gradtx.Sweep(gradtx.sgd, {"learning_rate": rates[::2], "momentum": [0.0, 0.9]}))
    assert result.scores[1] == np.inf and result.order[-1] == 1
    assert np.isnan(result.state(1)[0]["w"]).any()
    chex.assert_trees_all_close(result.scores[::2], healthy.scores, rtol=1e-6)
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[::2], result.states), healthy.states, rtol=1e-6)
    assert result.best.learning_rate != 1e30


def test_nan_in_the_state_counts_where_the_score_hides_it():
    sweep = gradtx.Sweep(gradtx.sgd, {"learning_rate": [0.01, 1e30]})
    hidden = lambda state, curvatures: -jnp.where(jnp.isnan(state[0]["w"][0]), 1.0, 0.0)
    result = sweep.train(init, step, hidden, STEPS, args=ARGS, rounds=1)
    assert result.scores.tolist() == [0, np.inf]


def test_schedules_as_choices():
    schedules = [gradtx.linear_schedule(0.1, end, 10) for end in (0.1, 0.01, 0.0)]
    result = train(gradtx.sweep(gradtx.sgd, {"learning_rate": gradtx.choice(schedules)}, 6, key=2))
    assert len(set(result.sweep.values["learning_rate"])) == 3
    assert result.sweep.tx.learning_rate.end_value.shape == (6,)
    assert result.best.learning_rate == schedules[0]
    assert_equal_to_separate_runs(result)


def test_paths_into_a_chain():
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.add_noise(0.01, 0.5), gradtx.sgd(0.1))
    sweep = gradtx.Sweep(tx, {"links[0].max_norm": [0.5, 2.0, 4.0], "learning_rate": [0.1, 0.2, 0.3]})
    assert sweep.members[1] == gradtx.replace(tx, learning_rate=0.2, **{"links[0].max_norm": 2.0})
    # The state of the noise is a random key, which has no NumPy form.
    assert_equal_to_separate_runs(train(sweep, devices=jax.devices()[:1], max_bytes=250))


def test_a_maker_of_ones_own():
    def clipped(rate, norm=1.0):
        return gradtx.chain(gradtx.clip_by_global_norm(norm), gradtx.sgd(rate, 0.9))

    sweep = gradtx.Sweep(clipped, {"rate": [0.1, 0.2]})
    assert repr(sweep) == "<Sweep of 2 chain: rate>"
    assert len(sweep) == 2 and sweep.members[1] == clipped(0.2)
    table = train(sweep, rounds=1).table(rows=1).splitlines()
    assert table[0].split() == ["score", "steps", "rate"] and table[1].split()[1:] in (["12", "0.1"], ["12", "0.2"])
    assert len(table) == 2
