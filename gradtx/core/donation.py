"""What becomes of donated buffers: which argument of a compiled step gives its memory to which result."""

import re
import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from gradtx.core import precision
from gradtx.core.errors import path_str


class DonatedLeaf(NamedTuple):
    """A donated leaf of the arguments."""

    path: str
    bytes: int
    result: str | None
    """The path of the result that takes over its memory, or None where none does."""


class Donation(NamedTuple):
    """What `check_donation` found; it prints as a report."""

    leaves: tuple[DonatedLeaf, ...]
    temporary_bytes: int
    """What the compiled step allocates besides its arguments and results."""

    @property
    def lost(self) -> tuple[DonatedLeaf, ...]:
        """The donated leaves whose memory no result takes over."""
        return tuple(leaf for leaf in self.leaves if leaf.result is None)

    def __str__(self) -> str:
        total, lost = (sum(leaf.bytes for leaf in leaves) for leaves in (self.leaves, self.lost))
        lines = [
            f"donated: {len(self.leaves)} leaves, {total:,} bytes",
            f"not reused: {len(self.lost)} leaves, {lost:,} bytes",
            f"temporary: {self.temporary_bytes:,} bytes",
        ]
        return "\n".join([*lines, *(f"  {leaf.path}: {leaf.bytes:,} bytes not reused" for leaf in self.lost)])


def check_donation(step: Any, *arguments: Any, **named: Any) -> Donation:
    """Compile a step and say what becomes of the memory of its donated arguments.

    XLA pairs donated arguments with results of the same shape and dtype in the order in which they stand. A step that
    takes `(params, state, grads)` and returns `(params, state)` updates every buffer in place. Where gradients stand
    before parameters, buffers change places, and the step needs temporary memory to move them.

        step = jax.jit(gradtx.step, donate_argnums=(1, 2))
        print(gradtx.check_donation(step, tx, params, state, grads))

    Args:
        step: a function from `jax.jit` that donates arguments.
        *arguments: what it is called with: arrays, or `jax.ShapeDtypeStruct`s of them. Nothing is computed or donated.
        **named: the same by name.

    Returns:
        One entry for each donated leaf, and the temporary bytes.

    Raises:
        TypeError: `step` is not from `jax.jit`.
        ValueError: `step` donates nothing.
    """
    if not hasattr(step, "trace"):
        raise TypeError(f"check_donation: step must be a function from jax.jit, got {step!r}")
    traced = step.trace(*arguments, **named)
    given = jax.tree_util.tree_leaves_with_path(traced.args_info)
    donated = [k for k, (_, leaf) in enumerate(given) if leaf.donated]
    if not donated:
        raise ValueError("check_donation: step donates no argument; see donate_argnums of jax.jit")
    # Compiled once more with every argument kept, so that those of the program are those of the step.
    whole = jax.jit(core.jaxpr_as_fun(traced.jaxpr), donate_argnums=donated, keep_unused=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some donated buffers were not usable")  # the report says which
        compiled = whole.lower(*_like(traced.jaxpr.in_avals, jax.tree.leaves((arguments, named)))).compile()
    results = [path_str(path) for path, _ in jax.tree_util.tree_leaves_with_path(traced.out_info)]
    aliases = {argument: results[result] for result, argument in _aliases(compiled.as_text() or "")}
    leaves = [DonatedLeaf(_path(given[k][0]), _bytes(traced.jaxpr.in_avals[k]), aliases.get(k)) for k in donated]
    memory = compiled.memory_analysis()
    return Donation(tuple(leaves), 0 if memory is None else memory.temp_size_in_bytes)


def _like(avals: Any, leaves: list[Any]) -> list[jax.ShapeDtypeStruct]:
    """The types of the arguments, with the shardings of the leaves if all of these are arguments."""
    same = [x.shape for x in avals] == [getattr(x, "shape", ()) for x in leaves]
    placed = lambda x: getattr(x, "sharding", None) if getattr(x, "committed", True) else None
    shardings = list(map(placed, leaves)) if same else [None] * len(avals)
    return [jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s) for x, s in zip(avals, shardings, strict=True)]


def _aliases(text: str) -> list[tuple[int, int]]:
    """Pairs of a result's and an argument's number, from the first line of a compiled module."""
    found = re.findall(r"\{(\d*)\}: \((\d+), \{\}", text.split("\n", 1)[0].split("entry_computation_layout")[0])
    return [(int(result or 0), int(argument)) for result, argument in found]


def _path(path: tuple[Any, ...]) -> str:
    """The path of an argument: `args[1]['w']`, or its own name."""
    kind, *rest = path
    return f"{'kwargs' if kind.idx else 'args'}{path_str(tuple(rest))}"


def _bytes(aval: Any) -> int:
    is_key = jnp.issubdtype(aval.dtype, jax.dtypes.prng_key)
    data = jax.eval_shape(jax.random.key_data, aval) if is_key else aval
    return precision.bytes_of(data)
