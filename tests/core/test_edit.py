"""Reading and changing hyperparameters by name or path."""

import jax
import jax.numpy as jnp
import pytest

import gradtx


@gradtx.schedule
def ramp(step, slope):
    return slope * step


def test_hyperparameters_by_path():
    tx = gradtx.chain(gradtx.clip(0.5), gradtx.sgd(ramp(0.1), 0.9, weight_decay=gradtx.coupled(0.2, "w")))
    assert gradtx.hyperparameters(tx) == {
        "links[0].max_delta": 0.5,
        "links[1].learning_rate": ramp(0.1),
        "links[1].momentum": 0.9,
        "links[1].dampening": 0.0,
        "links[1].weight_decay.weight_decay": 0.2,
    }
    assert gradtx.hyperparameters(ramp(0.1)) == {"slope": 0.1}
    assert gradtx.hyperparameters({"a": gradtx.scale(2.0)}) == {"['a'].step_size": 2.0}
    assert gradtx.hyperparameters(gradtx.identity()) == {}


def test_replace_by_name_and_by_path():
    tx = gradtx.chain(gradtx.adam(1e-3), gradtx.adam(1e-2, b1=0.8))
    assert gradtx.replace(gradtx.adam(1e-3), learning_rate=3e-4) == gradtx.adam(3e-4)
    assert gradtx.replace(tx, b1=0.5) == gradtx.chain(gradtx.adam(1e-3, 0.5), gradtx.adam(1e-2, 0.5))
    assert gradtx.replace(tx, **{"links[1].b1": 0.5}) == gradtx.chain(gradtx.adam(1e-3), gradtx.adam(1e-2, 0.5))
    both = gradtx.replace(tx, b1=0.5, **{"links[0].b1": 0.6})
    assert both == gradtx.chain(gradtx.adam(1e-3, 0.6), gradtx.adam(1e-2, 0.5))
    assert tx == gradtx.chain(gradtx.adam(1e-3), gradtx.adam(1e-2, b1=0.8))


def test_every_path_of_hyperparameters_can_be_replaced():
    tx = gradtx.named_chain(clip=gradtx.clip(0.5), adam=gradtx.adamw(1e-3, weight_decay=gradtx.coupled(0.1, "w")))
    for path, number in gradtx.hyperparameters(tx).items():
        changed = gradtx.hyperparameters(gradtx.replace(tx, **{path: number / 2}))
        assert changed == gradtx.hyperparameters(tx) | {path: number / 2}


def test_replace_in_a_tree_of_values():
    both = {"a": gradtx.sgd(0.1), "b": [gradtx.adam(0.1), 3]}
    assert gradtx.replace(both, learning_rate=0.2) == {"a": gradtx.sgd(0.2), "b": [gradtx.adam(0.2), 3]}


def test_replace_static_arguments():
    assert gradtx.replace(gradtx.sgd(0.1, 0.9), nesterov=True) == gradtx.sgd(0.1, 0.9, nesterov=True)
    assert gradtx.replace(gradtx.sgd(0.1), momentum=0.9) == gradtx.sgd(0.1, 0.9)
    assert gradtx.replace(gradtx.adam(0.1), nesterov=True) == gradtx.adam(0.1, nesterov=True)


def test_replace_keeps_the_kind_and_mask_of_weight_decay():
    tx = gradtx.chain(gradtx.adamw(0.1, weight_decay=gradtx.coupled(0.1, "*/kernel")))
    assert gradtx.replace(tx, weight_decay=0.2).links[0].weight_decay == gradtx.coupled(0.2, "*/kernel")
    other = gradtx.replace(tx, weight_decay=gradtx.independent(0.2, 0.1))
    assert other.links[0].weight_decay == gradtx.independent(0.2, 0.1)
    scheduled = gradtx.replace(tx, weight_decay=ramp(0.2))
    assert scheduled.links[0].weight_decay == gradtx.coupled(ramp(0.2), "*/kernel")
    assert gradtx.replace(tx, weight_decay=None) == gradtx.chain(gradtx.adamw(0.1, weight_decay=None))
    assert gradtx.replace(gradtx.adamw(0.1), weight_decay=0.2) == gradtx.adamw(0.1, weight_decay=0.2)


def test_replace_schedules_and_inside_them():
    tx = gradtx.adam(ramp(0.1), b1=ramp(0.2))
    assert gradtx.replace(tx, learning_rate=0.1) == gradtx.adam(0.1, b1=ramp(0.2))
    assert gradtx.replace(tx, slope=0.3) == gradtx.adam(ramp(0.3), b1=ramp(0.3))
    assert gradtx.replace(tx, **{"b1.slope": 0.3}) == gradtx.adam(ramp(0.1), b1=ramp(0.3))
    assert gradtx.replace(gradtx.adam(0.1), learning_rate=ramp(0.1)) == gradtx.adam(ramp(0.1))


def test_replace_works_on_traced_and_stacked_values():
    changed = jax.jit(lambda tx, x: gradtx.replace(tx, learning_rate=x))(gradtx.adam(0.1), 0.2)
    assert changed.learning_rate == jnp.float32(0.2)
    three = jax.vmap(lambda x: gradtx.replace(gradtx.adam(0.1), learning_rate=x))(jnp.arange(3.0))
    assert three.learning_rate.shape == (3,)


def test_an_unknown_name_lists_the_known_ones():
    tx = gradtx.chain(gradtx.clip(0.5), gradtx.sgd(0.1))
    with pytest.raises(ValueError, match=r"replace: no hyperparameter named 'lr'; known: .*links\[1\]\.learning_rate"):
        gradtx.replace(tx, lr=0.1)
    with pytest.raises(ValueError, match=r"named 'links\[2\]\.max_delta'"):
        gradtx.replace(tx, **{"links[2].max_delta": 0.1})


def test_replace_validates():
    with pytest.raises(ValueError, match=r"adam: b1 must be in \[0, 1\), got 1\.5"):
        gradtx.replace(gradtx.chain(gradtx.adam(0.1)), b1=1.5)
    with pytest.raises(ValueError, match="nesterov needs momentum"):
        gradtx.replace(gradtx.sgd(0.1, 0.9, nesterov=True), momentum=None)


def test_a_number_that_is_still_computed_is_not_waited_for():
    slow = jax.jit(lambda x: jax.lax.fori_loop(0, 100, lambda _, x: x @ x / 1000, x)[0, 0])
    x = jnp.ones((1000, 1000))
    slow.lower(x).compile()
    rate = slow(x)
    tx = gradtx.stored(gradtx.chain(gradtx.adamw(rate, b1=rate), gradtx.scale_by_schedule(ramp(rate))), mu="bfloat16")
    changed = gradtx.replace(tx, learning_rate=rate, slope=rate)
    assert not rate.is_ready()
    assert gradtx.hyperparameters(changed) == gradtx.hyperparameters(tx)
