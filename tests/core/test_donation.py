"""What `check_donation` says of steps that donate well, badly and not at all."""

import jax
import jax.numpy as jnp
import pytest

import gradtx
from gradtx.core.donation import DonatedLeaf
from gradtx.native import load

TX = gradtx.adamw(0.1)
PARAMS = {"b": jnp.ones(7), "w": jnp.ones((30, 4))}
STATE = TX.init(PARAMS)
SIZE = 4 * (7 + 120)


def test_the_step_in_its_own_order_reuses_all():
    found = gradtx.check_donation(jax.jit(gradtx.step, donate_argnums=(1, 2)), TX, PARAMS, STATE, PARAMS)
    assert found.lost == ()
    assert sum(leaf.bytes for leaf in found.leaves) == 3 * SIZE + 4
    assert found.leaves[1] == DonatedLeaf("args[1]['w']", 480, "[0]['w']")
    assert str(found).startswith("donated: 7 leaves, 1,528 bytes\nnot reused: 0 leaves, 0 bytes")


def test_gradients_before_parameters_take_their_places():
    step = jax.jit(lambda g, s, p: gradtx.step(TX, p, s, g), donate_argnums=(0, 1, 2))
    found = gradtx.check_donation(step, PARAMS, STATE, PARAMS)
    assert [leaf.path for leaf in found.lost] == ["args[2]['b']", "args[2]['w']"]
    assert found.leaves[0] == DonatedLeaf("args[0]['b']", 28, "[0]['b']")
    assert "args[2]['w']: 480 bytes not reused" in str(found)
    # XLA's own loops can write over what they read last; a native call has its arguments where they came from.
    assert (found.temporary_bytes >= SIZE) == load.wanted()


def test_arguments_by_name_and_static_ones():
    step = jax.jit(lambda p, k, *, g: p - k * g, donate_argnums=0, donate_argnames="g", static_argnums=1)
    found = gradtx.check_donation(step, jax.ShapeDtypeStruct((3,), "float32"), 2, g=jnp.ones(3))
    assert [(leaf.path, leaf.result) for leaf in found.leaves] == [("args[0]", "(root)"), ("kwargs['g']", None)]


def test_random_keys_count():
    found = gradtx.check_donation(jax.jit(lambda key: (key, 1), donate_argnums=0), jax.random.key(0))
    assert found.leaves == (DonatedLeaf("args[0]", 8, "[0]"),)


def test_errors():
    with pytest.raises(TypeError, match=r"step must be a function from jax\.jit, got"):
        gradtx.check_donation(gradtx.step, TX, PARAMS, STATE, PARAMS)
    with pytest.raises(ValueError, match="step donates no argument"):
        gradtx.check_donation(jax.jit(gradtx.step), TX, PARAMS, STATE, PARAMS)
