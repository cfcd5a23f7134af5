"""`leafwise`: schedules for any hyperparameter, counting, tracing once per leaf type, a user's own rules."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.fields import RandomKey
from gradtx.core.slots import Slot, zeros
from gradtx.core.typing import Array
from tests.support import at, make_grads, make_params, types_of


@gradtx.schedule
def fade(step, start):
    return start / (1 + step)


SCHEDULED = [
    ("b1", gradtx.adam(0.1), 0.9),
    ("b2", gradtx.adam(0.1), 0.99),
    ("eps", gradtx.adam(0.1), 1e-2),
    ("eps_root", gradtx.scale_by_adam(), 1e-3),
    ("weight_decay", gradtx.adamw(0.1), 0.3),
    ("weight_decay", gradtx.adamw(0.1, weight_decay=gradtx.coupled(0.1, "matrix")), 0.3),
    ("max_norm", gradtx.clip_by_global_norm(1.0), 2.0),
    ("max_delta", gradtx.clip(1.0), 2.0),
    ("momentum", gradtx.sgd(0.1, 0.5), 0.9),
    ("dampening", gradtx.sgd(0.1, 0.5), 0.9),
    ("decay", gradtx.rmsprop(0.1), 0.9),
    ("learning_rate", gradtx.sgd(0.1), 0.4),
    ("step_size", gradtx.scale(0.1), -0.4),
]


@pytest.mark.parametrize(("name", "tx", "start"), SCHEDULED, ids=lambda x: getattr(x, "name", x))
def test_a_schedule_equals_changing_the_number_by_hand(name, tx, start):
    params, grads = ({k: tree[k] for k in ("matrix", "vector")} for tree in (make_params(), make_grads(4)))
    step = jax.jit(lambda tx, g, state, params: tx.update(g, state, params))
    scheduled = gradtx.replace(tx, **{name: fade(start)})
    by_hand, state, other = params, tx.init(params), scheduled.init(params)
    assert any("count" in jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(other))
    for t in range(4):
        now = gradtx.replace(tx, **{name: start / (1 + t)})
        expected, state = step(now, at(grads, t), state, by_hand)
        updates, other = step(scheduled, at(grads, t), other, by_hand)
        chex.assert_trees_all_close(updates, expected, rtol=1e-5, atol=1e-7)
        by_hand = gradtx.apply_updates(by_hand, updates)


def test_a_scheduled_state_is_a_fixed_point():
    tx = gradtx.sgd(0.1, fade(0.9))
    params = make_params()
    state = tx.init(params)
    assert type(state[0]).__name__ == "ScheduledState"
    assert types_of(tx.update(params, state, params)[1]) == types_of(state)


COUNTING = [gradtx.scale_by_adam(), gradtx.scale(fade(1.0)), gradtx.scale_by_momentum(fade(0.9))]


@pytest.mark.parametrize("tx", COUNTING, ids=lambda tx: tx.name)
def test_count_stays_at_the_largest_int32(tx):
    params = make_params()
    largest = jnp.int32(jnp.iinfo(jnp.int32).max)
    state = tx.init(params)._replace(count=largest - 1)
    for _ in range(3):
        updates, state = tx.update(params, state, params)
        assert state.count == largest
        chex.assert_tree_all_finite(updates)


def counting_rule():
    calls = []

    def rule(g, *, step_size):
        calls.append(g.shape)
        return step_size * g

    return calls, rule


def test_a_rule_is_traced_once_per_leaf_type_under_jit():
    calls, rule = counting_rule()
    tx = gradtx.transformation(lambda step_size: gradtx.leafwise(rule, step_size=step_size))(0.5)
    layers = [{"w": jnp.ones((3, 2)), "b": jnp.ones(3)} for _ in range(10)] + [{"w": jnp.ones((3, 2), jnp.bfloat16)}]
    jax.jit(tx.update)(layers, tx.init(layers))
    assert sorted(calls) == [(3,), (3, 2)]  # that in bfloat16 is one in float32 as it comes
    jax.jit(lambda tx, g: tx.update(g, tx.init(g)))(tx, layers)
    assert len(calls) == 4


def test_the_sign_of_a_static_zero_counts():
    def rule(g, *, by):
        return g / by

    g = jnp.ones(2)
    for by in (0.0, -0.0, 0, 1.0):
        tx = gradtx.leafwise(rule, by=by)
        wanted = np.divide(1.0, float(by)) if by else np.copysign(np.inf, by)
        assert jax.jit(lambda g, tx=tx: tx.update(g, ())[0])(g).tolist() == [wanted] * 2


def test_one_trace_for_a_hundred_values_of_each_hyperparameter():
    params, grads = make_params(), at(make_grads(1), 0)
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(tx, params, state, grads):
        return gradtx.step(tx, params, state, grads)

    state = gradtx.adamw(0.1).init(params)
    rng = np.random.default_rng(0)
    for eta, b1, decay in rng.uniform(0, 0.1, (100, 3)).tolist():
        params, state = step(gradtx.adamw(eta, b1=b1, weight_decay=decay), params, state, grads)
    chex.assert_tree_all_finite(params)


def test_stacked_hyperparameters_need_vmap():
    params = make_params()
    for many in (jnp.ones(3) / 2, np.ones(3) / 2):
        tx = gradtx.adamw(0.1, b1=many)
        with pytest.raises(ValueError, match=r"scale_by_adam: b1 has shape \(3,\), wanted a scalar.*jax\.vmap"):
            tx.update(params, tx.init(params), params)
        for tx in (gradtx.scale_by_rss(many), gradtx.scale_by_dowg(many), gradtx.dadapt_adamw(estim_lr0=many)):
            with pytest.raises(ValueError, match=r"a state starts at one number, got shape \(3,\).*jax\.vmap"):
                tx.init(params)


class TotalState(NamedTuple):
    total: Slot
    largest: Array


@gradtx.transformation
def signed_total(rate, *, keep=0.5, power=1, flip=False):
    """A user's own, without a single annotation."""

    def rule(g, s, p, *, rate, keep, scale):
        total = keep * s.total + g**power
        return (1 if flip else -1) * rate * scale * jnp.sign(total) * p, s._replace(total=total)

    def reduce(updates, state):
        top = jnp.maximum(state.largest, jnp.max(jnp.abs(updates["w"])))
        return {"scale": 1 / top, "largest": top}

    return gradtx.leafwise(
        rule, TotalState, reduce=reduce, rate=rate, keep=keep, total=zeros(), largest=lambda params: jnp.zeros(())
    )


def test_a_users_transformation():
    tx = signed_total(0.5, power=3)
    assert sorted(gradtx.hyperparameters(tx)) == ["keep", "rate"]
    assert repr(tx) == "signed_total(rate=0.5, keep=0.5, power=3)"
    params = {"w": jnp.array([1.0, -2.0])}
    state = tx.init(params)
    wanted = lambda total, top: state._replace(total={"w": jnp.full(2, total)}, largest=jnp.float32(top))
    for g, total, top in ((-2.0, -8.0, 2.0), (1.0, -3.0, 2.0), (4.0, 62.5, 4.0)):
        updates, state = tx.update({"w": jnp.full(2, g)}, state, params)
        chex.assert_trees_all_close(state, wanted(total, top))
        chex.assert_trees_all_close(updates["w"], -0.5 / top * np.sign(total) * params["w"])
    flipped, _ = gradtx.replace(tx, flip=True).update({"w": jnp.full(2, 4.0)}, tx.init(params), params)
    chex.assert_trees_all_close(flipped["w"], 0.5 / 4 * params["w"])


def test_a_users_transformation_follows_a_schedule_and_batches():
    params = {"w": jnp.array([1.0, -2.0])}
    scheduled = signed_total(fade(0.5))
    state = scheduled.init(params)
    for t in range(3):
        updates, state = scheduled.update({"w": jnp.ones(2)}, state, params)
        chex.assert_trees_all_close(updates["w"], -0.5 / (1 + t) * params["w"])
    stacked = jax.vmap(lambda rate: signed_total(rate).update(params, signed_total(rate).init(params), params)[0])
    many = stacked(jnp.arange(3.0))
    chex.assert_trees_all_close(many["w"], -jnp.arange(3.0)[:, None] * jnp.array([[0.5, 1.0]]))


class NoiseState(NamedTuple):
    rng_key: RandomKey


def noise_rule(g, s, key, *, size):
    return size * jax.random.normal(key, g.shape), s


noise = gradtx.transformation(
    lambda size: gradtx.leafwise(noise_rule, NoiseState, size=size, rng_key=lambda params: jax.random.key(0))
)


def test_random_keys_differ_by_leaf_and_by_step():
    params = {"a": jnp.zeros(4), "b": jnp.zeros(4)}
    tx = noise(1.0)
    one, state = tx.update(params, tx.init(params))
    two, _ = tx.update(params, state)
    draws = np.stack([one["a"], one["b"], two["a"], two["b"]])
    assert len(np.unique(draws)) == 16
    again, _ = jax.jit(tx.update)(params, tx.init(params))
    chex.assert_trees_all_close(again, one, rtol=1e-6)


@pytest.mark.parametrize("make", [np.ones, lambda n: 1.5, lambda n: jnp.asarray(1.5), lambda n: np.ones(n, np.float16)])
def test_numpy_scalar_and_weakly_typed_parameters(make):
    params = {"w": make(2)}
    tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(0.1))
    state = tx.init(params)
    updates, after = tx.update(params, state, params)
    assert types_of(after) == types_of(state)
    assert not any(x.weak_type for x in jax.tree.leaves((after, updates)))
    expected, _ = tx.update(jax.tree.map(lambda x: jnp.float32(x), params), state, params)
    chex.assert_trees_all_close(jax.tree.map(jnp.float32, updates), expected, rtol=1e-3)


def centred_rule(g, s, *, hessian, eps):
    """u = g / (mean |h| + eps) of one leaf."""
    return g / (jnp.mean(jnp.abs(hessian)) + eps), s


@gradtx.transformation
def divided_by_a_given_hessian(eps: gradtx.NonNegative = 0.0):
    return gradtx.leafwise(centred_rule, beside=("hessian",), eps=eps)


@pytest.mark.parametrize("run", [lambda f: f, jax.jit])
def test_a_rule_sees_its_leaf_of_a_tree_that_is_beside_the_updates(run):
    tx, params = gradtx.chain(divided_by_a_given_hessian(), gradtx.scale(-1.0)), {"a": jnp.ones(2), "b": jnp.ones(2)}
    hessian = {"a": jnp.array([1.0, -3.0]), "b": jnp.array([4.0, 4.0], jnp.bfloat16)}
    step = run(lambda tx, params, hessian: tx.update(params, tx.init(params), hessian=hessian)[0])
    chex.assert_trees_all_close(step(tx, params, hessian), {"a": jnp.full(2, -0.5), "b": jnp.full(2, -0.25)})
    packed = gradtx.pack(params)
    updates = step(tx, packed, packed.like(hessian))
    chex.assert_trees_all_close(updates.unpack(), {"a": jnp.full(2, -0.5), "b": jnp.full(2, -0.25)})
    none = step(tx, {"a": None, "b": params["b"]}, hessian)
    chex.assert_trees_all_close(none, {"a": None, "b": jnp.full(2, -0.25)})


def test_what_is_beside_the_updates_must_be_given_and_be_like_them():
    tx, g = divided_by_a_given_hessian(), {"w": jnp.ones(3)}
    with pytest.raises(TypeError, match=r"divided_by_a_given_hessian needs hessian: call update\(.*hessian=\.\.\.\)"):
        tx.update(g, tx.init(g), g)
    with pytest.raises(ValueError, match="updates and hessian have different trees: only hessian has"):
        tx.update(g, tx.init(g), hessian=g | {"b": jnp.ones(3)})
    with pytest.raises(ValueError, match=r"updates and hessian differ at \['w'\]: \(3,\) != \(2,\)"):
        tx.update(g, tx.init(g), hessian={"w": jnp.ones(2)})
    with pytest.raises(TypeError, match=r"the hessian at \['w'\] is int32\(3,\)"):
        tx.update(g, tx.init(g), hessian={"w": jnp.arange(3)})
