"""Schedules that Optax has give the values Optax 0.2.8 gives, but for the documented differences."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx.schedules.join import warmup
from tests.schedules.cards import CARDS, Card

optax = pytest.importorskip("optax")

DIFFERENT = {
    "linear_schedule-instant": "a transition of no steps ends at once; Optax never starts it",
    "polynomial_schedule-instant": "the same",
    "warmup_constant_schedule-instant": "the same",
    "cosine_decay_schedule-instant": "Optax refuses a length of 0",
    "warmup_cosine_decay_schedule-no-decay": "the same",
    "linear_onecycle_schedule-instant": "the same",
    "warmup_cosine_decay_schedule-cold-from-zero": "Optax forgets end_value where peak_value is 0",
}
SHARED = [card for card in CARDS if hasattr(optax, card.schedule.name)]


def theirs(schedule: Any) -> Any:
    """The Optax schedule of the same name and arguments."""
    if schedule.name == "Schedule":
        return schedule.fn
    arguments = schedule.arguments
    if schedule.name == "join_schedules":
        arguments = arguments | {"schedules": [theirs(s) for s in schedule.schedules]}
    if schedule.name == "sgdr_schedule":
        arguments = {"cosine_kwargs": [cycle.arguments for cycle in schedule.cosine_kwargs]}
    return getattr(optax, schedule.name)(**arguments)


def test_all_of_optax_is_here():
    names = {name for name in dir(optax.schedules) if name.endswith(("_schedule", "_schedules", "_decay"))}
    assert names - {"_schedule"} <= {card.schedule.name for card in CARDS}


@pytest.mark.parametrize("card", [c for c in SHARED if c.id not in DIFFERENT], ids=lambda card: card.id)
def test_same_values(card: Card):
    got = np.array([card.schedule(t) for t in card.steps])
    with jax.numpy_dtype_promotion("standard"):
        reference = theirs(card.schedule)
        wanted = np.array([reference(jnp.asarray(t)) for t in card.steps])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("card", [c for c in SHARED if c.id in DIFFERENT], ids=lambda card: card.id)
def test_documented_differences_are_still_there(card: Card):
    try:
        reference = theirs(card.schedule)
    except ValueError:
        return
    assert any(abs(float(card.schedule(t)) - float(reference(t))) > 1e-3 for t in card.steps)


def test_optax_schedules_nest():
    reference = optax.cosine_decay_schedule(2.0, 40)
    with jax.numpy_dtype_promotion("standard"):
        assert warmup(reference, 10)(30) == pytest.approx(float(reference(20)))
