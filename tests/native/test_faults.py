"""Faults that are put into the compiler of the native step: the random steps find each of them."""

import jax
import pytest

from gradtx.native import calls, elementwise, formula, lazy, program
from gradtx.native.formula import Scalar
from tests.native.support import needs_native
from tests.native.test_programs import check

pytestmark = needs_native
FAULTS = {}


def fault(where, name):
    """A fault: what takes the place of a function, given the right one."""

    def add(make):
        FAULTS[make.__name__] = (where, name, make)
        return make

    return add


def read_late(self, one):
    """The end of an output that is a moved input, with the input read from memory when it is stored."""
    x = self.nodes[one.node].operands[0]
    self.homes.pop(x, None)
    self.load(x)
    return program._End(*self.nodes[one.node].operands) if self.nodes[one.node].op == "saturate" else program._End(x)


@fault(program._Assembly, "end")
def a_store_ends_at_an_input(right):
    late = lambda self, one: self.moves(one.node) and self.nodes[one.node].op != "saturate" and one.most is None
    return lambda self, k, one: right(self, k, read_late(self, one) if late(self, one) else one)


@fault(program._Assembly, "end")
def an_input_is_held_as_it_is_stored(right):
    late = lambda self, one: self.moves(one.node) and self.nodes[one.node].op == "saturate"
    return lambda self, k, one: right(self, k, read_late(self, one) if late(self, one) else one)


@fault(program._Assembly, "direct")
def memory_is_taken_over_before_the_last_read(right):
    return lambda self, ends, order, last: right(self, ends, order, {})


@fault(program._Assembly, "release")
def a_register_is_given_away_that_is_read_again(_):
    def release(self, x):
        if self.homes[x] >= len(self.formula.types):
            self.free[:] = {
                *self.free,
                self.homes[x],
                *[h for h in self.homes.values() if h >= len(self.formula.types)],
            }

    return release


@fault(elementwise.Builder, "clamped")
def the_ends_of_a_clamp_are_exchanged(right):
    return lambda self, least, x, most: right(self, most, x, least)


@fault(elementwise.Builder, "converted")
def casts_do_not_round(_):
    return lambda self, first, x: first


@fault(elementwise.Builder, "scalar")
def scalars_are_the_first(right):
    def scalar(self, x):
        s = right(self, x)
        return s if s.given is None else Scalar(0)

    return scalar


@fault(Scalar, "constant")
def zeros_are_equal(right):
    return classmethod(lambda cls, x: right(x + 0.0))


@fault(formula._Match, "blend")
def scalars_of_a_sum_are_exchanged(right):
    def blend(self, node):
        found = right(self, node)
        swapped = found is not None and found.op == "blend"
        return found._replace(operands=(*found.operands[:2], *found.operands[:1:-1])) if swapped else found

    return blend


@fault(formula._Match, "saturate")
def what_is_held_is_found_anywhere(_):
    def saturate(self, node):
        if node.op != "select" or not all(isinstance(x, int) for x in node.operands):
            return None
        return formula.Node("saturate", (node.operands[1], Scalar.constant(2.0)))

    return saturate


@fault(calls._Leaves, "changes")
def booleans_are_outputs(_):
    return lambda self, output, old: (
        isinstance(output, lazy.Lazy | lazy.Member)
        or (id(output) in self.own and output is not old and output.ndim > 0)
    )


@fault(calls._Leaves, "symbolic")
def leaves_are_taken_for_the_first(_):
    def symbolic(self, results):
        members = [x for x in results if isinstance(x, lazy.Member)]
        if len(members) < len(results):
            return None
        inputs = list(dict.fromkeys(y for x in members for y in self.sources[x.value]))
        return [x.value for x in members], inputs, [calls.at(y, 0) for y in inputs]

    return symbolic


@fault(calls, "_call")
def a_leaf_gets_the_scalars_of_another(right):
    def call(formula, compiled, leaves):
        scalars = [leaf.scalars[::-1] for leaf in leaves]
        return right(formula, compiled, [x._replace(scalars=s) for x, s in zip(leaves, scalars, strict=True)])

    return call


@fault(lazy, "_identity")
def scalars_are_known_by_their_type(_):
    return lambda x: x.dtype


@fault(elementwise, "table")
def codes_have_no_sign(right):
    return lambda codec, positive, random: right(codec, True, random)


def found(seeds):
    """The first random step that finds something."""
    for seed in seeds:
        try:
            check(seed)
        except Exception:  # whatever shows it
            return seed
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_each_is_found(monkeypatch, name):
    where, attribute, make = FAULTS[name]
    monkeypatch.setattr(where, attribute, make(getattr(where, attribute)))
    program.compiled.cache_clear()
    try:
        with jax.enable_x64(True):
            assert found(range(180)) is not None
    finally:
        program.compiled.cache_clear()
