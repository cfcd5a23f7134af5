"""Where zoom tries next inside its interval: every way in which a cubic and a parabola can fail to say it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradtx.search.zoom import Sample, far_within, interpolated

MIDDLE = 0.5


def marks(low, high, third, loss, slope):
    """Three steps, by their distance from the first in units of the interval, with the loss at each."""
    at = lambda t: Sample(jnp.asarray(low + t * (high - low)), jnp.asarray(loss(t)), jnp.asarray(slope / (high - low)))
    return at(0.0), at(1.0), at(third)


def cubic(a, b, least):
    """The loss 4 + slope t + b t^2 + a t^3 that is least there, and its slope at 0."""
    slope = -(3 * a * least**2 + 2 * b * least)
    return lambda t: 4 + slope * t + b * t**2 + a * t**3, slope


@pytest.mark.parametrize("ends", [(0.0, 1.0), (3.0, 5.0), (2.0, 1.5)], ids=str)
@pytest.mark.parametrize("third", [2.0, -0.5, 0.75])
def test_between_the_ends(ends, third):
    """Where the loss is least, else where the parabola is, else in the middle."""
    rows = (  # a, b, least, wanted
        (1.0, 1.0, 0.5, 0.5),
        (1.0, 1.0, 0.25, 0.25),
        (1.0, 1.0, 0.75, 0.75),
        (16.0, 0.25, 0.25, 0.25),  # where the parabola leads nowhere
        (1.0, 1.0, 0.1875, 0.1201171875),  # the cubic's least is near an end, the parabola's is not
        (1.0, 1.0, 0.8125, MIDDLE),  # both are
        (1.0, 1.0, 0.125, MIDDLE),
        (0.0, 1.0, 0.125, 0.125),  # no cubic
        (0.0, 1.0, 0.875, 0.875),
        (0.0, 1.0, 0.0625, MIDDLE),
        (0.0, 1.0, 0.9375, MIDDLE),
    )
    with jax.enable_x64(True):
        low, high = ends
        for a, b, least, wanted in rows:
            three = marks(low, high, third, *cubic(a, b, least))
            for relative in (False, True):  # these ends are of one order of magnitude, or one is 0
                if relative and wanted == MIDDLE and low == 0:
                    continue
                got = interpolated(*three, relative=relative)
                np.testing.assert_allclose(got, low + wanted * (high - low), rtol=1e-9, err_msg=str((a, b, least)))


def test_the_margins_at_the_ends_are_open():
    with jax.enable_x64(True):
        for least in (0.1, 0.9):
            three = marks(0.0, 1.0, 2.0, lambda t, least=least: t**2 - 2 * least * t, -2 * least)
            assert interpolated(*three, relative=False) == MIDDLE


def test_between_ends_that_are_orders_of_magnitude_apart():
    with jax.enable_x64(True):
        at = lambda step, value=1.0: Sample(jnp.asarray(step), jnp.asarray(value), jnp.asarray(-1.0))
        rows = (  # low, high, the parabola's least, wanted
            (at(1.0), at(100.0), 0.01, 10.0),
            (at(100.0), at(1.0), 0.01, 10.0),
            (at(1.0), at(11.0), 0.01, np.sqrt(11.0)),
            (at(1.0), at(10.0), 0.01, 5.5),
            (at(0.0), at(10.0), 1e-3, 0.1),
            (at(0.0), at(10.0), 0.09, 10.0 * np.sqrt(0.009)),
            (at(0.0), at(10.0), 0.1, 5.0),
            (at(0.0), at(10.0), 0.0, 5.0),
            (at(0.0), at(10.0), -1e-3, 5.0),
            (at(0.0), at(10.0), 1e-40, 10.0 * np.sqrt(0.1) * np.finfo(np.float64).eps),
            (at(0.0), at(10.0, jnp.inf), 0.5, 1.0),
            (at(10.0), at(0.0), 1e-3, 5.0),  # no slope at 0 to judge by
        )
        for low, high, parabola, wanted in rows:
            got = far_within(low, high, jnp.asarray(parabola))
            np.testing.assert_allclose(got, wanted, rtol=1e-12, err_msg=str((low.step, high.step, parabola)))
        for a, b, least in ((0.0, 1.0, 0.0625), (16.0, 0.25, 0.15)):  # near an end, by the parabola and by the cubic
            low, high, third = marks(1.0, 100.0, 2.0, *cubic(a, b, least))
            np.testing.assert_allclose(interpolated(low, high, third, True), 10.0)
            np.testing.assert_allclose(interpolated(low, high, third, False), 50.5)
