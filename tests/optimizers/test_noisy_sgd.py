"""Noisy SGD: the noise has the variance that is promised, and its key decides it."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx


def noise(tx, steps=3):
    g = {"a": jnp.zeros(20_000), "b": jnp.zeros(20_000)}
    state, out = tx.init(g), []
    for _ in range(steps):
        updates, state = tx.update(g, state, g)
        out.append(updates)
    return out


def test_variance_fades():
    for t, updates in enumerate(noise(gradtx.noisy_sgd(0.5, eta=0.04, gamma=0.55)), 1):
        for x in updates.values():
            assert abs(float(x.std()) / (0.5 * np.sqrt(0.04 / t**0.55)) - 1) < 0.03
            assert abs(float(x.mean())) < 0.005


def test_noise_differs_between_leaves_steps_and_keys_only():
    first, again, other = (noise(gradtx.noisy_sgd(0.5, key=key)) for key in (1, 1, 2))
    chex.assert_trees_all_equal(first, again)
    streams = [np.asarray(x) for run in (first, other) for updates in run for x in updates.values()]
    assert np.abs(np.corrcoef(streams) - np.eye(len(streams))).max() < 0.05


def test_without_noise_it_is_sgd():
    updates = noise(gradtx.chain(gradtx.noisy_sgd(0.5, eta=0.0)))
    chex.assert_trees_all_equal(updates[0], {"a": jnp.zeros(20_000), "b": jnp.zeros(20_000)})


def test_errors():
    with pytest.raises(ValueError, match=r"noisy_sgd: eta must be in \[0, inf\), got -1.0"):
        gradtx.noisy_sgd(0.1, eta=-1.0)
    with pytest.raises(TypeError, match=r"noisy_sgd: key must be an integer seed or a key"):
        gradtx.noisy_sgd(0.1, key="seed")  # pyright: ignore[reportArgumentType]
