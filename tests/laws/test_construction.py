"""Making a value computes nothing on a device: it works where none is attached."""

import jax
import pytest
from jax.sharding import AbstractMesh, AxisType

import gradtx
from gradtx.core.values import Maker, Value
from tests.catalogue import ROWS

SCHEDULE = gradtx.linear_schedule(1.0, 0.1, 5)
# What no row of the catalogue holds.
OTHERS = [
    SCHEDULE,
    gradtx.stored(gradtx.adam(0.1), "bfloat16"),
    gradtx.constant_schedule(0.1),
    gradtx.cosine_decay_schedule(0.1, 5),
    gradtx.cosine_onecycle_schedule(5, 0.1),
    gradtx.exponential_decay(0.1, 5, 0.5),
    gradtx.inverse_sqrt_schedule(0.0, 0.1, 5),
    gradtx.inverse_time_decay(0.1, 5, 0.5),
    gradtx.join_schedules([SCHEDULE, SCHEDULE], [5]),
    gradtx.linear_onecycle_schedule(5, 0.1),
    gradtx.piecewise_constant_schedule(0.1, {2: 0.5}),
    gradtx.piecewise_interpolate_schedule("linear", 0.1, {2: 0.5}),
    gradtx.polynomial_schedule(0.1, 0.01, 2.0, 5),
    gradtx.powercool_schedule(0.1, 0.5, 5),
    gradtx.rsqrt_cooldown_schedule(0.0, 0.1, 2, 2, 9),
    gradtx.sgdr_schedule([dict(init_value=0.0, peak_value=0.1, warmup_steps=2, decay_steps=5, end_value=0.0)]),
    gradtx.warmup(SCHEDULE, 2),
    gradtx.warmup_constant_schedule(0.0, 0.1, 5),
    gradtx.warmup_cosine_decay_schedule(0.0, 0.1, 2, 5),
    gradtx.warmup_exponential_decay_schedule(0.0, 0.1, 2, 5, 0.5),
    gradtx.wsd_schedule(0.0, 0.1, 2, 5, 2),
    gradtx.differentially_private_aggregate(1.0, 0.1),
    gradtx.dpsgd(0.1, 1.0, 0.1),
    gradtx.adamw(SCHEDULE, weight_decay=gradtx.independent(0.1, 0.1)),
    gradtx.accumulate(gradtx.sgd(0.1), 2, skip=gradtx.skip_not_finite()),
    gradtx.choice([1.0, 2.0]),
    gradtx.uniform(0.0, 1.0),
    gradtx.log_uniform(0.1, 1.0),
    gradtx.float8("float8_e5m2"),
    gradtx.int4(64, rounding="stochastic"),
    gradtx.int8(32, map="companded"),
    gradtx.log8(2.0),
    gradtx.log4(rounding="nearest"),
    gradtx.stored(gradtx.adam(0.1), {"**/b": "float32", "**": gradtx.int8()}, nu=gradtx.log8()),
]


def inside(value):
    """A value and those among its arguments."""
    found = [value]
    for x in jax.tree.leaves(value.arguments, is_leaf=lambda x: isinstance(x, Value)):
        found += inside(x) if isinstance(x, Value) else []
    return found


VALUES = [(top.name, value) for top in [*(row.tx for row in ROWS), *OTHERS] for value in inside(top)]


def test_every_maker_is_here():
    makers = {name for name, x in vars(gradtx).items() if isinstance(x, Maker)}
    assert makers <= {value.name for _, value in VALUES}


def test_making_a_value_computes_nothing():
    """Nothing can be computed within an abstract mesh, which has no devices."""
    with jax.sharding.use_abstract_mesh(AbstractMesh((8,), ("x",), axis_types=(AxisType.Explicit,))):
        with pytest.raises(ValueError, match="mesh"):
            jax.numpy.ones(3) + 1
        failed: dict[str, str] = {}
        for where, value in VALUES:
            try:
                value.with_arguments({})
            except Exception as error:
                failed[f"{value.name} in {where}"] = str(error)
    assert not failed
