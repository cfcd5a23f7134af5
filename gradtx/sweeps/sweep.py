"""Sweeps: sample hyperparameters, train all the optimizers in one program, keep the best."""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gradtx.core.arguments import Accept, Interval, IsKey
from gradtx.core.containers import MappingOf
from gradtx.core.edit import replace
from gradtx.core.functions import IsFunction
from gradtx.core.hyperparameters import KeyLike
from gradtx.core.transformation import GradientTransformation, as_transformation
from gradtx.core.typing import PyTree
from gradtx.core.values import Value, show
from gradtx.sweeps.ranges import Quantile, Range
from gradtx.sweeps.run import (
    Device,
    Functions,
    check_functions,
    join,
    make_plan,
    own_devices,
    run,
    size_of,
    stack,
    take,
)
from gradtx.transforms.noise import start_key

COUNT, BYTES = Interval("[1, inf)", integer=True, static=True), Interval("(-inf, inf)", static=True)
FUNCTION = IsFunction()


class IsQuantile(Accept):
    """A range, or a function of u."""

    wanted = "a range, or a function of u in [0, 1]"

    def convert(self, where: str, name: str, x: Any) -> Quantile:
        return x if isinstance(x, Range) else FUNCTION.convert(where, name, x)


RANGES = MappingOf(IsQuantile(), str)


class Sweep:
    """Optimizers that differ in some hyperparameters: each as a plain value, and all as one stacked value.

        gradtx.Sweep(gradtx.adam, {"learning_rate": [1e-3, 1e-2], "b1": [0.9, 0.95]})

    Args:
        maker: makes an optimizer of the hyperparameters by name; or an optimizer, of which they are replaced, with the
            names and paths (`links[0].b1`) that `gradtx.replace` takes.
        values: for each name, the values that the members have, all of one length.

    Raises:
        ValueError: no values, values of different lengths, a name that is not there, or members that differ in more
            than numbers and so are not one program.
    """

    members: tuple[GradientTransformation, ...]  # plain optimizers
    values: dict[str, tuple[Any, ...]]  # by name, one for each member

    def __init__(self, maker: Callable[..., Any] | GradientTransformation, values: Mapping[str, Iterable[Any]]) -> None:
        self.values = {name: tuple(column) for name, column in values.items()}
        lengths = {name: len(column) for name, column in self.values.items()}
        if not lengths or len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(f"sweep: wanted values for each name, of one length, got lengths {lengths}")
        make = _named_maker(maker, self.values)
        rows = zip(*self.values.values(), strict=True)
        self.members = tuple(make(**dict(zip(self.values, row, strict=True))) for row in rows)
        _check_one_program(self.members)

    @cached_property
    def tx(self) -> GradientTransformation:
        """All members as one optimizer, whose hyperparameters are arrays; it runs under `jax.vmap`."""
        return stack(self.members)

    def __len__(self) -> int:
        """How many members there are."""
        return len(self.members)

    def __repr__(self) -> str:
        return f"<Sweep of {len(self)} {self.members[0].name}: {', '.join(self.values)}>"

    def train(
        self, init: Callable[..., PyTree], step: Callable[..., PyTree], score: Callable[..., Any], steps: int, *,
        args: tuple[Any, ...] = (), rounds: int = 10, max_bytes: int | None = None,
        devices: Sequence[Device] | None = None, progress: Callable[[int, int], object] | None = None,
    ) -> "SweepResult":  # fmt: skip
        """Train all members in one compiled program, split over the devices.

            def init(tx):
                return params, tx.init(params)

            def step(tx, state, i):
                params, opt_state = state
                return gradtx.step(tx, params, opt_state, jax.grad(loss)(params, batch(i)))

            def score(state):
                return validation_loss(state[0])

        The three functions see one member; they are traced once for all members, chunks and rounds, and another sweep
        that is given the same functions and as many members at a time uses the same program. A member that diverges
        gets the score infinity, and the others do not notice. Ctrl-C returns the members that have begun, as far as
        they came; `SweepResult.steps` says how far that is.

        Args:
            init: `init(tx, *args) -> state`, where a member starts: any tree of arrays.
            step: `step(tx, state, i, *args) -> state`, its step i = 0, 1, ...; the same types go in and out.
            score: `score(state, *args) -> number`, lower is better; a floating-point scalar.
            steps: how many steps each member takes, >= 1.
            args: what else the functions take, the data for example; the same for all members.
            rounds: how many times a program returns, >= 1: for a score, for `progress`, and for Ctrl-C.
            max_bytes: the memory of each device that the sweep may take, or None for all members at once. It covers
                `args`, the hyperparameters and two copies of the states (before and after a round), and not what
                `step` needs besides, gradients and activations. Members that do not fit wait for the next chunk.
            devices: where to train: devices of this process, by default all. Of several processes each trains its own
                sweep; the message for another process' device says how to split one.
            progress: called after each round with the steps that all members together have taken, and will take.

        Returns:
            A `SweepResult`.

        Raises:
            TypeError: `step` changes the types of the state, or `score` returns no floating-point scalar.
            ValueError: `steps` or `rounds` is below 1, not even one member fits in `max_bytes`, or a device is another
                process'.
            KeyboardInterrupt: Ctrl-C in the first round, when there is nothing to return.
        """
        steps, rounds = COUNT("sweep", "steps", steps), COUNT("sweep", "rounds", rounds)
        max_bytes = None if max_bytes is None else BYTES("sweep", "max_bytes", max_bytes)
        given = dict(init=init, step=step, score=score)
        functions = Functions(**{name: FUNCTION("sweep", name, function) for name, function in given.items()})
        on = own_devices(devices)
        report = FUNCTION("sweep", "progress", progress or (lambda done, total: None))
        state = check_functions(functions, self.tx, args)
        member = size_of(self.tx) // len(self) + 2 * size_of(state)
        plan = make_plan(len(self), steps, rounds, on, member, size_of(args), max_bytes)
        parts = run(functions, self.tx, len(self), plan, args, report)
        scores = np.concatenate([part.scores for part in parts])
        taken = np.concatenate([np.full(len(part.scores), part.steps) for part in parts])
        return SweepResult(self, scores, join([part.states for part in parts]), taken)


@dataclass(frozen=True, eq=False)
class SweepResult:
    """What a sweep found. An interrupted sweep has here the first members, those that began."""

    sweep: Sweep
    scores: np.ndarray  # one per member, lower is better; infinity for one that diverged
    states: PyTree  # the members' states, in NumPy arrays with a leading axis of members
    steps: np.ndarray  # how many steps each member took

    @property
    def order(self) -> np.ndarray:
        """The members' numbers, the best first."""
        return np.argsort(self.scores, kind="stable")

    @property
    def best(self) -> GradientTransformation:
        """The optimizer with the lowest score, as a plain value.

        Raises:
            ValueError: all members diverged.
        """
        i = self.order[0]
        if self.scores[i] == np.inf:
            raise ValueError(f"sweep: none of {len(self.scores)} members has a score: all diverged")
        return self.sweep.members[i]

    def __repr__(self) -> str:
        i = self.order[0]
        return f"<SweepResult of {len(self.scores)}: {_cell(self.scores[i])} for {self.sweep.members[i]}>"

    def state(self, i: int) -> PyTree:
        """The state of one member."""
        return take(self.states, i)

    def table(self, rows: int | None = 10) -> str:
        """The scores and the sampled values as text, the best first.

        Args:
            rows: how many members to show, or None for all.
        """
        head = ["score", "steps", *self.sweep.values]
        lines = [
            [_cell(self.scores[i]), str(self.steps[i]), *(_cell(column[i]) for column in self.sweep.values.values())]
            for i in self.order[:rows]
        ]
        widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
        return "\n".join("  ".join(map(str.rjust, line, widths)) for line in (head, *lines))


def sweep(
    maker: Callable[..., Any] | GradientTransformation, ranges: Mapping[str, Quantile], n: int, *, key: KeyLike = 0
) -> Sweep:
    """Sample n optimizers at random.

        found = gradtx.sweep(gradtx.adam, {"learning_rate": gradtx.log_uniform(1e-5, 1e-1)}, 64).train(...)
        found.best

    Args:
        maker: makes an optimizer of the hyperparameters by name; or an optimizer, of which they are replaced, with the
            names and paths (`links[0].b1`) that `gradtx.replace` takes.
        ranges: for each name a range: `uniform`, `log_uniform`, `choice`, or a function of u in [0, 1).
        n: how many, >= 1.
        key: a seed or a random key.

    Returns:
        A `Sweep`: `tx` is the stacked optimizer, `train` trains it.

    Raises:
        ValueError: n is below 1, there are no ranges, or a value or name that the maker refuses.
    """
    n, ranges, key = COUNT("sweep", "n", n), RANGES("sweep", "ranges", ranges), IsKey()("sweep", "key", key)
    if not ranges:
        raise ValueError("sweep: wanted a range for at least one hyperparameter, got none")
    us = np.asarray(jax.random.uniform(start_key(key), (len(ranges), n)))
    return Sweep(
        maker, {name: [_short(at(float(u))) for u in row] for (name, at), row in zip(ranges.items(), us, strict=True)}
    )


def _short(x: Any) -> Any:
    """A float as the shortest decimal that is the same number in JAX's default dtype."""
    return float(str(jnp.result_type(float).type(x))) if isinstance(x, float) else x


def _named_maker(maker: Any, names: Iterable[str]) -> Callable[..., GradientTransformation]:
    """Make an optimizer of hyperparameters by name."""
    if isinstance(maker, Value):
        return lambda **values: replace(maker, **values)
    parameters = inspect.signature(maker).parameters
    unknown = [name for name in names if name not in parameters]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        made_by = getattr(maker, "__name__", repr(maker))
        raise ValueError(f"sweep: {made_by} takes no {unknown[0]!r}; it takes: {', '.join(parameters)}")
    return lambda **values: as_transformation(maker(**values))


def _check_one_program(members: Sequence[GradientTransformation]) -> None:
    first = members[0]
    for member in members[1:]:
        if jax.tree.structure(member) != jax.tree.structure(first):
            raise ValueError(
                f"sweep: members must differ in numbers only, to be one program; got {first!r} and {member!r}"
            )


def _cell(x: Any) -> str:
    return f"{x:.4g}" if isinstance(x, int | float | np.floating) else show(x)
