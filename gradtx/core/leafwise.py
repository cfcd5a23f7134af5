"""Leafwise execution: a rule for one array, lifted to a tree. What is not formula lives here."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core import checks, errors, gate, precision, restart
from gradtx.core.fields import CountMark, KeyMark, field_of, marks
from gradtx.core.rules import apply_rule, increment, keep_type, state_fields, wants
from gradtx.core.schedule import Schedule
from gradtx.core.selection import MaskedNode, resolve_mask
from gradtx.core.slots import filled, start_leaf, start_of
from gradtx.core.stacks import Stack, is_leaf, path_of_leaf, unwrapped
from gradtx.core.states import EmptyState, ScaleByScheduleState, ScheduledState, first_of
from gradtx.core.typing import Mask, PyTree
from gradtx.core.varying import vary_as_all


def leafwise(
    rule: Callable[..., Any],
    state: type[Any] = EmptyState,
    *,
    reduce: Callable[..., dict[str, Any]] | None = None,
    finish: Callable[..., Any] | None = None,
    mask: Mask = None,
    masks: dict[str, Mask] | None = None,
    real_only: bool = False,
    **named: Any,
) -> "Leafwise":
    """Lift a rule for one array to a transformation of trees.

    Args:
        rule: `(g, s, p, *, ...) -> (u, s)`, or `(g, p, *, ...) -> u` where nothing is kept. `s` is a `state` whose
            slots hold this leaf's arrays, `p` the parameter, `key` (where asked for) a random key of this leaf's own;
            the rest are hyperparameters and reductions by name. All arrays are float32 or wider.
        state: a NamedTuple type, whose annotations say what its fields are. A `Slot` has one value per parameter; a
            `Count` is the number of steps taken, of which a rule sees the step being taken, from 1; a `RandomKey` is
            split at each step; an `InnerState` is somebody else's, and passes through.
        reduce: runs before the rule, on whole trees: any of `(updates, state, params, <hyperparameters>, <extra
            arguments of update>)` by name, to a dictionary of numbers for the rule or for fields of the state.
        finish: runs after the rule: `(state, ...) -> state`, with the same names to choose from.
        mask: which leaves the rule acts on; the others pass through and keep no slots.
        masks: for a hyperparameter, the leaves it is meant for; on the others the rule sees 0.
        real_only: refuse complex leaves, by path, where the rule means nothing for them.
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
        real_only=real_only,
    )


@dataclass(frozen=True)
class Leafwise:
    """A rule with its hyperparameters and slots: a pure `(init, update)` pair."""

    rule: Callable[..., Any]
    state: type[Any]
    hyper: dict[str, Any]
    slots: dict[str, Callable[[Any], Any]]
    shared: dict[str, Any]
    reduce: Callable[..., dict[str, Any]] | None
    finish: Callable[..., Any] | None
    mask: Mask
    masks: dict[str, Mask]
    real_only: bool
    name: str = "leafwise"
    types: dict[Any, Any] = field(default_factory=dict[Any, Any], compare=False)  # of starts, as the gate finds them

    def named(self, name: str) -> "Leafwise":
        """The same under the name that errors give."""
        return replace(self, name=name)

    @property
    def starts(self) -> dict[str, Any]:
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

    def asked_of(self, extra: dict[str, Any]) -> dict[str, Any]:
        """Those of the extra arguments of `update` that are looked at."""
        asking = [f for f in (self.reduce, self.finish) if f is not None]
        return {name: x for name, x in extra.items() if any(wants(f, name) for f in asking)}

    def init(self, params: PyTree, **inner: Any) -> Any:
        """The state at step 0, every slot at its start, on its parameter's sharding; with the states `inner` in it."""
        state = self._init_inner(params, inner)
        if not self.follows_schedule:
            return state
        count = filled((), 0, jnp.int32)
        return ScaleByScheduleState(count) if self.state is EmptyState else ScheduledState(count, state)

    def _init_inner(self, params: PyTree, inner: dict[str, Any]) -> Any:
        leaves, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_leaf)
        chosen = list(map(unwrapped, treedef.flatten_up_to(resolve_mask(self.name, self.mask, params))))
        for mask in self.masks.values():  # one that does not fit is refused here, not at the first step
            resolve_mask(self.name, mask, params)
        starts: list[Any] = []
        for (path, p), keep in zip(leaves, chosen, strict=True):
            if p is not None and keep:
                errors.check_inexact(self.name, "parameter", path, unwrapped(p), real_only=self.real_only)
            numpy = isinstance(p, np.ndarray | np.generic) or not hasattr(p, "shape")
            starts.append(p if p is None or not keep or isinstance(p, Stack) or not numpy else jnp.asarray(p))
        slots = {
            name: treedef.unflatten(
                [
                    None if p is None else start_leaf(start, p) if keep else MaskedNode()
                    for p, keep in zip(starts, chosen, strict=True)
                ]
            )
            for name, start in self.slots.items()
        }
        shared = {name: first(params) if callable(first) else first for name, first in self.shared.items()}
        # What `reduce` or `finish` may change follows from the leaves, and so varies over devices as these do.
        kinds = marks(self.state)
        plain = {name: x for name, x in shared.items() if not isinstance(kinds.get(name), CountMark | KeyMark)}
        return self.state(**slots, **shared | vary_as_all(plain, params), **inner)

    def update(self, updates: PyTree, state: Any, params: PyTree = None, **extra: Any) -> tuple[PyTree, Any]:
        """Apply the rule to every leaf; the step counter, schedules and reductions run once."""
        # Where a number took the place of a schedule the count goes on, for a schedule that may come again.
        if self.follows_schedule or isinstance(state, ScaleByScheduleState | ScheduledState):
            kind = ScaleByScheduleState if self.state is EmptyState else ScheduledState
            cure = "restore(tx.init(params), state_dict(state)) goes on at the run's count"
            checks.check_state(self.name, kind, state, f"; if a number became a schedule, {cure}")
            checks.check_array(self.name, "count", state.count, np.zeros((), np.int32))
            inner = getattr(state, "inner_state", EmptyState())
            updates, inner = self._update_inner(updates, inner, params, state.count, extra)
            kept = {} if self.state is EmptyState else {"inner_state": inner}
            return updates, state._replace(count=increment(state.count), **kept)
        count = None if self.count is None else getattr(state, self.count, None)
        return self._update_inner(updates, state, params, restart.of_run(count), extra)

    def _update_inner(self, updates: PyTree, state: Any, params: PyTree, count: Any, extra: dict[str, Any]) -> Any:
        """One step of the state proper; schedules see `count`."""
        checks.check_state(self.name, self.state, state)
        state, per_leaf = restart.run_view(state, state_fields(self.state)[1])
        if wants(self.rule, "p", needed=True):
            errors.check_params(self.name, params)
        leaves = Leaves(self, updates, state, params)
        checks.check_fields(self.name, self.state, self.starts, state, updates, params, self.types, slots=False)
        hyper = {name: self._scalar(name, h(count) if isinstance(h, Schedule) else h) for name, h in self.hyper.items()}
        slot_names, shared_names = state_fields(self.state)
        shared = {name: getattr(state, name) for name in shared_names}
        old = dict(shared)
        if self.count is not None:
            shared[self.count] = increment(shared[self.count])
        key, key_field = None, field_of(self.state, KeyMark)
        if key_field is not None:
            shared[key_field], key = jax.random.split(shared[key_field])

        available = {"state": state, "params": params, **extra, **hyper}
        if self.reduce is not None or self.finish is not None:
            dtype = precision.scalar_dtype(updates)
            available |= {name: precision.number_in(h, dtype) for name, h in hyper.items()}
            available |= {name: precision.number_in(x, dtype) for name, x in extra.items() if _is_number(x)}
            available |= {"updates": precision.widen(updates), "state": self._widened(state)}
        reduced: dict[str, Any] = {}
        if self.reduce is not None:
            reduced = dict(self._call(self.reduce, available))
            shared |= {name: keep_type(reduced.pop(name), old[name]) for name in shared_names if name in reduced}
        numbers = {name: h for name, h in hyper.items() if wants(self.rule, name)} | reduced
        seen = lambda old: available | {"state": self._widened(state._replace(**old))}
        own = restart.own_numbers(
            self.state, per_leaf, lambda old: self._call(self.reduce, seen(old)) if self.reduce else {}
        )
        new_leaves, new_slots = leaves.run(numbers, shared, key, own)
        new_updates = leaves.treedef.unflatten(new_leaves)
        if self.state is EmptyState:
            return new_updates, state
        trees = {name: leaves.treedef.unflatten([slots[name] for slots in new_slots]) for name in slot_names}
        new_state = state._replace(**trees, **shared)
        if self.finish is not None:
            finished = self._call(self.finish, available | reduced | {"state": self._widened(new_state)})
            new_state = finished._replace(**{n: keep_type(getattr(finished, n), old[n]) for n in shared_names})
        return new_updates, restart.both_views(new_state, per_leaf, own)

    def _widened(self, state: Any) -> Any:
        """The state with the numbers of the whole tree in their compute dtypes; slots as they are kept."""
        numbers = {name: getattr(state, name) for name in state_fields(self.state)[1]}
        numbers = {name: precision.widen_inexact(x) for name, x in numbers.items() if hasattr(x, "dtype")}
        return state._replace(**numbers) if numbers else state

    def _scalar(self, name: str, h: Any) -> Any:
        if isinstance(h, jax.Array | np.ndarray) and h.ndim and not jnp.issubdtype(h.dtype, jax.dtypes.prng_key):
            raise ValueError(
                f"{self.name}: {name} has shape {h.shape}, wanted a scalar; "
                "a stacked transformation runs under jax.vmap over it and its state"
            )
        return h

    def _call(self, function: Callable[..., Any], available: dict[str, Any]) -> Any:
        chosen: dict[str, Any] = {}
        for name, parameter in inspect.signature(function).parameters.items():
            if name in available:
                chosen[name] = available[name]
            elif parameter.default is inspect.Parameter.empty:
                raise TypeError(f"{self.name} needs {name}: call update(updates, state, params, {name}=...)")
            if name == "params" and parameter.default is inspect.Parameter.empty:
                errors.check_params(self.name, chosen[name])
        return function(**chosen)


class Leaves:
    """The leaves of one update, matched with their slots and parameters."""

    def __init__(self, step: Leafwise, updates: PyTree, state: Any, params: PyTree) -> None:
        self.step, self.tree = step, updates
        self.updates, self.treedef = jax.tree.flatten(updates, is_leaf=is_leaf)
        self.chosen = self._match_mask(updates, step.mask)
        self.masks = {name: self._match_mask(updates, mask) for name, mask in step.masks.items() if mask is not None}
        self.slots = {
            name: checks.matched(step.name, "state", updates, self.treedef, getattr(state, name)) for name in step.slots
        }
        self.params = None if params is None else gate.fitted(step.name, updates, self.updates, self.treedef, params)
        self.takes_params = params is not None and wants(step.rule, "p")
        for i, (g, keep) in enumerate(zip(self.updates, self.chosen, strict=True)):
            if g is not None and keep:
                self._check(i, g)

    def _match_mask(self, updates: PyTree, mask: Mask) -> list[bool]:
        return list(map(unwrapped, self.treedef.flatten_up_to(resolve_mask(self.step.name, mask, updates))))

    def run(
        self, numbers: dict[str, Any], shared: dict[str, Any], key: Any, own: dict[str, dict[str, Any]]
    ) -> tuple[list[Any], list[dict[str, Any]]]:
        """Apply the rule to each leaf, with its `own` numbers where it has some: new updates, and new slots by name."""
        step = self.step
        keys = [None] * len(self.updates) if key is None else list(jax.random.split(key, max(1, len(self.updates))))
        new_updates = list(self.updates)
        new_slots = [{name: column[i] for name, column in self.slots.items()} for i in range(len(self.updates))]
        groups: dict[tuple[bool, tuple[str, ...]], dict[int, Any]] = {}
        for i, (g, keep) in enumerate(zip(self.updates, self.chosen, strict=True)):
            if g is None or not keep:
                continue
            slots = {name: unwrapped(slot) for name, slot in new_slots[i].items()}
            p = self.params[i] if self.params is not None and self.takes_params else None
            mine = restart.named_for(own, path_of_leaf(g, checks.path_at(self.tree, i)), {}) if own else {}
            leaf = (unwrapped(g), slots, unwrapped(p), keys[i], mine)
            outside = tuple(name for name, column in self.masks.items() if not column[i])
            groups.setdefault((isinstance(g, Stack), outside), {})[i] = leaf
        for (stacked, outside), leaves in groups.items():
            given = numbers | dict.fromkeys(outside, 0.0)
            results = apply_rule(step.rule, step.state, list(leaves.values()), shared, given, stacked=stacked)
            for i, (u, slots) in zip(leaves, results, strict=True):
                new_updates[i] = Stack(u) if stacked else u
                new_slots[i] = {name: Stack(slot) for name, slot in slots.items()} if stacked else slots
        return new_updates, new_slots

    def _check(self, i: int, g: Any) -> None:
        """Refuse a leaf whose update, slots and parameter do not belong together."""
        step, name = self.step, self.step.name
        gate.check_number(name, self.tree, i, g, real_only=step.real_only)
        p = None if self.params is None else self.params[i]
        for slot, column in self.slots.items():
            checks.check_slot(name, f"the state's {slot}", self.tree, i, g, column[i], step.slots[slot], p, step.types)
        if self.params is not None and (self.takes_params or not gate.EXAMPLES):
            gate.check_param(name, self.tree, i, g, p)


def _is_number(x: Any) -> bool:
    return getattr(x, "shape", None) == () and errors.is_inexact(x) and not jnp.iscomplexobj(x)
