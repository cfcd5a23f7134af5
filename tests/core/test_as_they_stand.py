"""What eager calls do not trace: what looks at numbers, may change unseen, or is another's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

import gradtx


class Traced:
    """Counts; a class is read as itself, where a list would be taken for what may change."""

    times = 0


def as_it_stands(rule):
    """The updates of two steps by a rule, and how often it ran on (2,) leaves of numbers."""
    tx = gradtx.stateless_leafwise(rule)
    params = {"a": jnp.array([1.0, -2.0]), "b": jnp.array([3.0, 4.0])}
    return [jax.tree.map(np.asarray, tx.update(k * params["a"], tx.init(params))[0]).tolist() for k in (1, 2)]


def test_rules_that_look_at_numbers_run_as_they_stand():
    assert as_it_stands(lambda g: g * float(g[0])) == [[1, -2], [4, -8]]
    assert as_it_stands(lambda g: g if g[0] > 1 else -g) == [[-1, 2], [2, -4]]
    assert as_it_stands(lambda g: g[g > 0].sum() * g) == [[1, -2], [4, -8]]
    assert as_it_stands(lambda g: jnp.asarray(np.sort(np.asarray(g)))) == [[-2, 1], [-4, 2]]


def test_a_rule_without_a_look_at_numbers_runs_at_its_trace_alone():
    seen = []

    def rule(g):
        assert isinstance(g, jax.Array)
        Traced.times += 1
        return 2 * g

    assert as_it_stands(rule) == [[2, -4], [4, -8]]
    assert Traced.times == 1
    # What a function closes over may change, so this one is run each time.
    assert as_it_stands(lambda g: seen.append(g) or 2 * g) == [[2, -4], [4, -8]]
    assert len(seen) == 2 and all(isinstance(g, jax.Array) and not isinstance(g, jax.core.Tracer) for g in seen)


def test_what_a_rule_closes_over_is_seen_when_it_changes():
    box = {"scale": 2.0}
    tx = gradtx.stateless_leafwise(lambda g: box["scale"] * g)
    g = jnp.ones(3)
    first = tx.update(g, tx.init(g))[0]
    box["scale"] = 3.0
    assert (first[0], tx.update(g, tx.init(g))[0][0]) == (2, 3)


def test_pairs_of_functions_and_other_libraries_run_as_they_stand():
    seen = []

    def update(updates, state, params=None):
        seen.append(float(updates["layer0"][0]))
        return updates, state

    tx = gradtx.chain(gradtx.GradientTransformation(lambda params: (), update), gradtx.scale(2.0))
    g = {"layer0": jnp.ones(5)}
    for _ in range(3):
        tx.update(g, tx.init(g))
    assert seen == [1, 1, 1]
    with jax.numpy_dtype_promotion("standard"):
        mixed = gradtx.chain(optax.scale(3.0), gradtx.scale(2.0))
        assert mixed.update(g, mixed.init(g))[0]["layer0"].tolist() == [6.0] * 5
