"""Leafwise execution: a rule for one item, lifted to a tree. What is not formula lives here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import checks, errors, extras, gate, precision, restart
from gradtx.core.codecs.coded import opened, seed_of
from gradtx.core.each import each, is_traced
from gradtx.core.fields import CountMark, InnerMark, KeyMark, field_of, marks
from gradtx.core.layout import Batches, Layout
from gradtx.core.rules import increment, is_compiled, keep_type, on_batches, state_fields, wants
from gradtx.core.schedule import Schedule, at_step
from gradtx.core.selection import MaskedNode, resolve_mask
from gradtx.core.slots import filled, is_whole, slots_of, start_of
from gradtx.core.stacks import is_leaf, unwrapped
from gradtx.core.states import EmptyState, ScaleByScheduleState, ScheduledState, first_of
from gradtx.core.typing import Extra, Mask, Numbers, PyTree
from gradtx.core.varying import vary_as_all
from gradtx.core.within import Within


def leafwise(
    rule: Callable[..., Any],
    state: type[Any] = EmptyState,
    *,
    reduce: Callable[..., Numbers] | None = None,
    finish: Callable[..., Any] | None = None,
    mask: Mask = None,
    masks: dict[str, Mask] | None = None,
    beside: tuple[str, ...] = (),
    real_only: bool = False,
    layout: Layout | None = None,
    within: Within | None = None,
    **named: Any,
) -> "Leafwise":
    """Lift a rule for one item, an array or a matrix, to a transformation of trees.

    Args:
        rule: `(g, s, p, *, ...) -> (u, s)`, or `(g, p, *, ...) -> u` where nothing is kept. `s` is a `state` whose
            slots hold this leaf's arrays, `p` the parameter, `key` (where asked for) a random key of this leaf's own;
            the rest are hyperparameters and reductions by name. All arrays are float32 or wider.
        state: a NamedTuple type, whose annotations say what its fields are. A `Slot` has one value per parameter; a
            `Count` is the number of steps taken, of which a rule sees the step being taken, from 1; a `RandomKey` is
            split at each step; an `InnerState` is somebody else's, and passes through.
        reduce: runs before the rule, on whole trees: any of `(updates, state, params, counts, <hyperparameters>, <extra
            arguments of update>)` by name, to a dictionary of numbers for the rule or for fields of the state; `counts`
            are the steps taken by the run and by every leaf that started anew.
        finish: runs after the rule: `(state, ...) -> state`, with the same names to choose from.
        mask: which leaves the rule acts on; the others pass through and keep no slots.
        masks: for a hyperparameter, the leaves it is meant for; on the others the rule sees 0.
        beside: extra arguments of `update` that are trees like the updates; the rule gets its leaf's by these names.
        real_only: refuse complex leaves, by path, where the rule means nothing for them.
        layout: what an item is, such as one matrix of those in a leaf; by default a leaf. Items of one type are
            stacked, and so is what is kept of them. A rule that asks for `is_matrix`, or an item's `shape`, is told.
        within: what acts on the results of the rule, and how updates are made of its own; its state is in the field of
            `state` that is declared `InnerState`.
        **named: for a slot or a `Scalar` where it starts, if not at 0 or as its type says: a number, or a function of
            the parameter, or for a number of the parameters; for any other field of the state its first value or such
            a function; and everything else a hyperparameter, which may be a schedule.
    """
    slots, shared = state_fields(state)
    return Leafwise(
        rule,
        state,
        hyper={k: v for k, v in named.items() if k not in slots and k not in shared},
        slots={k: start_of(state, k, named.get(k)) for k in slots},
        shared={k: first_of(state, k, named) for k in shared},
        reduce=reduce,
        finish=finish,
        mask=mask,
        masks=masks or {},
        beside=beside,
        real_only=real_only,
        layout=layout,
        within=within,
    )


@dataclass(frozen=True)
class Leafwise:
    """A rule with its hyperparameters and slots: a pure `(init, update)` pair."""

    rule: Callable[..., Any]
    state: type[Any]
    hyper: Numbers
    slots: dict[str, Callable[[Any], Any]]
    shared: Numbers
    reduce: Callable[..., Numbers] | None
    finish: Callable[..., Any] | None
    mask: Mask
    masks: dict[str, Mask]
    beside: tuple[str, ...]
    real_only: bool
    layout: Layout | None = None
    within: Within | None = None
    name: str = "leafwise"
    types: dict[Any, Any] = field(default_factory=dict[Any, Any], compare=False)  # of starts, as the gate finds them

    def named(self, name: str) -> "Leafwise":
        """The same under the name that errors give."""
        return replace(self, name=name)

    @property
    def starts(self) -> Numbers:
        """How each field of the state starts."""
        return self.shared | self.slots

    @property
    def follows_schedule(self) -> bool:
        """Whether a schedule needs a step count that the state does not have."""
        return self.count is None and any(isinstance(h, Schedule) for h in self.hyper.values())

    @property
    def count(self) -> str | None:
        """The field with the steps taken."""
        return field_of(self.state, CountMark)

    def asked_of(self, extra: Extra) -> Extra:
        """Those of the extra arguments of `update` that are looked at."""
        if self.within is not None:
            return extra
        asking = [f for f in (self.reduce, self.finish) if f is not None]
        return {name: x for name, x in extra.items() if name in self.beside or any(wants(f, name) for f in asking)}

    def init(self, params: PyTree, **inner: Any) -> Any:
        """The state at step 0, every slot at its start, on its parameter's sharding; with the states `inner` in it."""
        state = self._init_inner(params, inner)
        if not self.follows_schedule:
            return state
        count = filled((), 0, jnp.int32)
        return ScaleByScheduleState(count) if self.state is EmptyState else ScheduledState(count, state)

    def _init_inner(self, params: PyTree, inner: Numbers) -> Any:
        chosen = self.mask is not None or self.masks or self.layout is not None or self.real_only
        if self.state is EmptyState and not chosen and gate.are_arrays(params):
            return EmptyState()
        batches = self._batches(gate.numbers_as_arrays(self.name, "params", params))
        for i in (i for part in batches.parts for i in part.places):
            p = unwrapped(batches.leaves[i])
            if self.real_only or not errors.is_inexact(p):
                errors.check_inexact(self.name, "parameter", batches.paths[i], p, real_only=self.real_only)
        left_out = [p if p is None else MaskedNode() for p in batches.leaves]
        slots: Numbers = {}
        for name, start in self.slots.items():
            others = (lambda _: MaskedNode()) if slots_of(self.state)[name].matrices else None
            slots[name] = batches.packed(batches.started(start, others), left_out, whole=is_whole(start))
        if self.within is not None:
            inner = {field_of(self.state, InnerMark) or "": self.within.init(batches, slots)}
        shared = {name: first(params) if callable(first) else first for name, first in self.shared.items()}
        # What `reduce` or `finish` may change follows from the leaves, and so varies over devices as these do.
        kinds = marks(self.state)
        plain = {name: x for name, x in shared.items() if not isinstance(kinds.get(name), CountMark | KeyMark)}
        return self.state(**slots, **shared | vary_as_all(plain, params), **inner)

    def update(self, updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        """Apply the rule to every item; the step counter, schedules and reductions run once."""
        scheduled, count, state = self._schedule_of(state)
        checks.check_state(self.name, self.state, state)
        if wants(self.rule, "p", needed=True):
            errors.check_params(self.name, params)
        given = {name: extras.given(self.name, name, extra) for name in self.beside}
        batches, slots, beside = self._matched(updates, state, given if params is None else {"params": params} | given)
        whole = self._whole(updates, state, params, count, extra)
        numbers, keys = whole.numbers | whole.shared, batches.keys(whole.key)
        mine = [restart.of_items(whole.own, *held, numbers) for held in batches.held(whole.own)]
        leaves = batches.cut(batches.leaves, apart=self.within is not None)
        items = list(zip(leaves, slots, beside, keys, mine, strict=True))
        traced = is_traced((items, whole.shared, whole.numbers)) or is_compiled(self.rule)
        rules, numbers = on_batches(self.rule, self.state, batches, tuple(self.masks), whole.numbers, traced=traced)
        results = each(rules, items, whole.shared, numbers)
        steps, new = [u for u, _ in results], {name: [kept[name] for _, kept in results] for name in self.slots}
        seed = partial(seed_of, whole.shared.get(self.count or ""))
        trees = {
            name: batches.keep(new[name], getattr(state, name), partial(seed, name), whole=is_whole(start))
            for name, start in self.slots.items()
        }
        if self.within is not None:
            field = field_of(self.state, InnerMark) or ""
            steps, trees[field] = self.within.update(batches, steps, trees, getattr(state, field), extra)
            given = {name: h for name, h in whole.hyper.items() if wants(self.within.back, name)}
            rules, given = on_batches(self.within.back, self.state, batches, tuple(self.masks), given, traced=traced)
            back = [(r, kept, {}, None, {}) for r, (_, kept) in zip(steps, results, strict=True)]
            steps = [u for u, _ in each(rules, back, whole.shared, given)]
        new_updates = batches.treedef.unflatten(batches.join(steps, jax.tree.leaves(updates, is_leaf=batches.is_leaf)))
        new_state = self._finished(whole, trees)
        if scheduled is None:
            return new_updates, new_state
        kept = {} if self.state is EmptyState else {"inner_state": new_state}
        return new_updates, scheduled._replace(count=increment(scheduled.count), **kept)

    def _schedule_of(self, state: Any) -> tuple[Any, Any, Any]:
        """The state of the schedules, where they have one of their own; the steps taken; and the state proper."""
        # Where a number took the place of a schedule the count goes on, for a schedule that may come again.
        if not (self.follows_schedule or isinstance(state, ScaleByScheduleState | ScheduledState)):
            return None, None if self.count is None else restart.of_run(getattr(state, self.count, None)), state
        kind = ScaleByScheduleState if self.state is EmptyState else ScheduledState
        cure = "restore(tx.init(params), state_dict(state)) goes on at the run's count"
        checks.check_state(self.name, kind, state, f"; if a number became a schedule, {cure}")
        checks.check_array(self.name, "count", state.count, np.zeros((), np.int32))
        return state, state.count, getattr(state, "inner_state", EmptyState())

    def _whole(self, updates: PyTree, state: Any, params: PyTree, count: Any, extra: Extra) -> "_Whole":
        """What runs once for the whole tree: the step counter, schedules, random keys and reductions."""
        counts = jax.tree.leaves(getattr(state, self.count or "", ()))
        state, per_leaf = restart.run_view(state, state_fields(self.state)[1])
        checks.check_fields(self.name, self.state, self.starts, state, updates, params, self.types, slots=False)
        hyper = {name: at_step(h, count) for name, h in self.hyper.items()}
        checks.check_numbers(self.name, hyper)
        old = {name: getattr(state, name) for name in state_fields(self.state)[1]}
        shared, key = dict(old), None
        if self.count is not None:
            shared[self.count] = increment(shared[self.count])
        if (key_field := field_of(self.state, KeyMark)) is not None:
            shared[key_field], key = jax.random.split(shared[key_field])
        available = {"state": state, "params": params, "counts": counts, **extra, **hyper}
        if self.reduce is not None or self.finish is not None:
            dtype = precision.scalar_dtype(updates)
            available |= {name: precision.number_in(h, dtype) for name, h in hyper.items()}
            available |= {name: precision.number_in(x, dtype) for name, x in extra.items() if errors.is_real_number(x)}
            available["updates"] = precision.widen(updates)
        reduced = self._reduced(available, state)
        shared |= {name: keep_type(reduced.pop(name), old[name]) for name in old if name in reduced}
        numbers = {name: h for name, h in hyper.items() if wants(self.rule, name)} | reduced
        own = restart.own_numbers(self.state, per_leaf, partial(self._reduced, available, state))
        return _Whole(state, per_leaf, old, shared, key, hyper, numbers, own, available | reduced)

    def _finished(self, whole: "_Whole", trees: dict[str, PyTree]) -> Any:
        """The new state, of the new slots and what `finish` makes of its numbers."""
        new = whole.state if self.state is EmptyState else whole.state._replace(**trees, **whole.shared)
        if self.finish is not None:
            finished = extras.with_asked(self.name, self.finish, whole.available | {"state": self._widened(new)})
            new = new._replace(**{n: keep_type(getattr(finished, n), x) for n, x in whole.old.items()})
        return restart.both_views(new, whole.per_leaf, whole.own)

    def _batches(self, tree: PyTree, like: PyTree = None) -> Batches:
        """The items in a tree: those of a batch are inside the same masks."""
        views = None if self.layout is None else self.layout.views(self.name, tree)
        columns = [
            [bool(unwrapped(x)) for x in jax.tree.leaves(resolve_mask(self.name, mask, tree), is_leaf=is_leaf)]
            for mask in (self.mask, *self.masks.values())
        ]
        labels = [tuple(row) if keep else None for keep, *row in zip(*columns, strict=True)]
        return Batches(tree, views, labels, like)

    def _matched(self, updates: PyTree, state: Any, given: Numbers) -> tuple[Batches, list[Numbers], list[Numbers]]:
        """The items of the updates, with their slots and what is beside them; refused what does not belong together."""
        name, first = self.name, next(iter(self.slots), None)
        batches = self._batches(updates, None if first is None else getattr(state, first))
        fitted = {slot: checks.fitted(name, batches, getattr(state, slot), start) for slot, start in self.slots.items()}
        fits = lambda what, tree: gate.fitted(name, updates, batches.leaves, batches.treedef, tree, what)
        columns = {what: fits(what, tree) for what, tree in given.items()}
        here = sorted(i for part in batches.parts for i in part.places)
        for i in here:
            gate.check_number(name, updates, i, batches.leaves[i], real_only=self.real_only)
        params = columns.get("params")
        kept: Numbers = {}
        for slot, start in self.slots.items():
            tree = getattr(state, slot)
            kept[slot] = checks.kept(name, self.state, slot, batches, tree, fitted[slot], start, params, self.types)
        taken = [what for what in given if what != "params" or wants(self.rule, "p")]
        for what in taken if gate.EXAMPLES else given:
            for i in here:
                gate.check_param(name, updates, i, batches.leaves[i], columns[what][i], what)
        beside = {"p" if what == "params" else what: batches.cut(columns[what]) for what in taken}
        rows = lambda found: [{name: values[k] for name, values in found.items()} for k in range(len(batches))]
        return batches, rows(kept), rows(beside)

    def _reduced(self, available: Numbers, state: Any, numbers: Numbers | None = None) -> Numbers:
        """What `reduce` makes of the state, with other numbers in it where given."""
        if self.reduce is None:
            return {}
        state = self._widened(state._replace(**numbers) if numbers else state)
        return dict(extras.with_asked(self.name, self.reduce, available | {"state": state}))

    def _widened(self, state: Any) -> Any:
        """The state with the numbers of the whole tree in their compute dtypes; slots in any, but not in codes."""
        seen = {name: opened(getattr(state, name)) for name in self.slots}
        numbers = {name: getattr(state, name) for name in state_fields(self.state)[1]}
        seen |= {name: precision.widen_inexact(x) for name, x in numbers.items() if hasattr(x, "dtype")}
        return state._replace(**seen) if seen else state


class _Whole(NamedTuple):
    """What a step has for the whole tree."""

    state: Any  # before the step, with the run's numbers
    per_leaf: Any  # those of them that some leaves have for themselves
    old: Numbers  # the fields of the state that are no slots, before the step
    shared: Numbers  # and in it
    key: Any
    hyper: Numbers
    numbers: Numbers  # what the rule gets
    own: dict[str, Numbers]  # what single leaves get in place of it
    available: Numbers  # what `finish` may ask for
