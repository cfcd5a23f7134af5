"""What functions of users read: those that read nothing that changes are compiled when they are called again."""

import enum
import math
import random
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gradtx
from gradtx.core.eager import is_fixed, is_own
from gradtx.core.reads import Reads, is_plain
from tests.support import compilations


class Kept(NamedTuple):
    mu: gradtx.Slot


class Computing(NamedTuple):
    mu: gradtx.Slot

    @property
    def twice(self):
        return 2 * self.mu


class Mode(enum.Enum):
    A = 1


class Mutable:
    scale = 2.0


factor, sizes, table, key, mode = 2.0, (2.0, ("x", None)), [2.0], jax.random.key(0), Mode.A
thing, alias = Mutable(), np


def helper(x):
    return factor * x


def keep_rule(g, s, *, decay):
    mu = decay * s.mu + g
    return -mu, s._replace(mu=mu)


@gradtx.lifted(keep_rule, Kept)
def lifted(decay: gradtx.Decay = 0.5):
    """Keep an average."""


@gradtx.transformation
def closing(decay: gradtx.Decay = 0.5):
    def rule(g, s, *, scale):
        return -scale * jnp.sqrt(jnp.abs(helper(g))) * decay, Kept(sum((x for x in [s.mu, g]), jnp.zeros(())))

    return gradtx.leafwise(rule, Kept, scale=1.5)


@gradtx.schedule
def halving(step, every: gradtx.Positive):
    return 0.5 ** (step / every)


def positive(params):
    return jax.tree.map(lambda p: p.ndim > 0, params)


KNOWN = {
    "lifted": lifted,
    "leafwise": closing,
    "stateless": lambda: STATELESS,
    "in a chain": lambda: gradtx.chain(gradtx.clip_by_global_norm(1.0), lifted(), gradtx.scale(0.5)),
    "around": lambda: gradtx.masked(lifted(), positive),
    "schedule": lambda: gradtx.adam(halving(3.0)),
    "function of the step": lambda: SCHEDULED,
    "helper": lambda: gradtx.stateless_leafwise(helper),
}
STATELESS = gradtx.stateless_leafwise(lambda g, p: jnp.clip(g, -abs(p), max(sizes[0], math.pi)))
SCHEDULED = gradtx.adam(lambda step: 0.1 * 0.9 ** step.astype(jnp.float32))


@pytest.mark.parametrize("name", KNOWN)
def test_what_reads_nothing_that_changes_is_one_program_from_its_second_call_on(name):
    params = {str(k): jnp.linspace(-1, k + 1, 5) for k in range(6)}
    state = KNOWN[name]().init(params)
    update = lambda: KNOWN[name]().update(params, state, params)
    with jax.disable_jit():
        wanted = update()
    first = update()
    jax.clear_caches()
    assert compilations(update) == 1
    assert compilations(update) == 0
    chex.assert_trees_all_close(first, wanted, rtol=1e-6)
    chex.assert_trees_all_close(update(), wanted, rtol=1e-6)


def test_what_is_made_anew_at_each_call_is_never_compiled():
    params = jnp.ones(3)
    update = lambda: gradtx.sgd(lambda step: 0.5 * jnp.float32(step + 1)).update(params, state, params)
    state = gradtx.sgd(lambda step: 0.5).init(params)
    update()
    assert compilations(lambda: [update() for _ in range(3)]) == 0


def test_numbers_stay_pythons_in_a_users_functions():
    """So it may ask what they are, divide by them and round them."""

    @gradtx.transformation
    def asking(rate: gradtx.Real):
        def rule(g, *, rate):
            return g * (0 if rate > 1 else round(rate, 1))

        return gradtx.leafwise(rule, rate=rate)

    g = jnp.ones(3)
    tx = asking(0.26)
    assert [float(tx.update(g, tx.init(g))[0][0]) for _ in range(3)] == [np.float32(0.3)] * 3
    tx = asking(2)
    assert [float(tx.update(g, tx.init(g))[0][0]) for _ in range(3)] == [0] * 3


def importing(g):
    import jax.numpy as inside

    return inside.abs(g)


def handling(g):
    try:
        return float(g) * g
    except TypeError:
        return -g


def through_another_name(g):
    module = alias
    return g * module.random.normal()


REFUSED = {
    "array": lambda g: g * jax.random.normal(key),
    "list": lambda g: g * table[0],
    "object": lambda g: g * thing.scale,
    "class": lambda g: g * Mutable.scale,
    "enumeration": lambda g: g * mode.value,
    "state with code": lambda g: Computing(g).twice,
    "print": lambda g: print(g) or g,
    "random": lambda g: g * random.random(),
    "numpy.random": lambda g: g * np.random.normal(),  # noqa: NPY002
    "module by another name": through_another_name,
    "getattr": lambda g: getattr(g, "real"),  # noqa: B009
    "type": lambda g: g * len(type(g).__name__),
    "what is not there": lambda g: g * missing,  # noqa: F821  # pyright: ignore[reportUndefinedVariable]
    "import": importing,
    "handled error": handling,
    "partial": partial(helper),
    "method": "x".join,
    "compiled": jax.jit(helper),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known(name):
    assert not is_fixed(REFUSED[name], Reads())


def test_what_reads_too_much_is_not_looked_at_at_each_call():
    space = {f"x{k}": k for k in range(100)}
    exec(f"def rule(g): return g * ({'+'.join(space)})", space)
    assert not is_fixed(space["rule"], Reads())


def test_a_function_that_calls_itself_and_its_like_is_known():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert is_fixed(even, Reads())


def test_types_of_states():
    assert is_plain(Kept) and not is_plain(Computing) and not is_plain(Mutable) and not is_plain(dict)


def test_a_pair_of_functions_of_a_user_is_not_known():
    @gradtx.transformation
    def pair():
        return gradtx.GradientTransformation(lambda p: (), lambda g, s, p=None: (g, s))

    assert not is_own(pair(), Reads()) and is_own(closing(), Reads()) and not is_own(closing())
