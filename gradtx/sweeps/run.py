"""Training many members at once: split over devices, in chunks that fit, in rounds that can be interrupted."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from gradtx.core import precision
from gradtx.core.errors import describe, is_inexact, path_str
from gradtx.core.typing import Array, PyTree

Device: TypeAlias = Any
"""One of `jax.devices()`."""

MEMBERS, SHARED = PartitionSpec("members"), PartitionSpec()


class Functions(NamedTuple):
    """What one member does: the user's own functions."""

    init: Callable[..., PyTree]  # (tx, *args) -> state
    step: Callable[..., PyTree]  # (tx, state, i, *args) -> state
    score: Callable[..., Any]  # (state, *args) -> number, lower is better


class Progress(NamedTuple):
    """Members that have come equally far; every leaf has a leading axis of members."""

    states: PyTree
    scores: Any
    steps: int


class Plan(NamedTuple):
    """How members are laid out: equal chunks, each split evenly over the devices."""

    devices: tuple[Device, ...]
    chunk: int  # members at a time, a multiple of the number of devices
    rounds: tuple[int, ...]  # the step at which each round ends


# Before anything is allocated.


def check_functions(functions: Functions, tx: PyTree, args: tuple[Any, ...]) -> PyTree:
    """The types of one member's state, once they are seen to fit together.

    Raises:
        TypeError: `step` changes the state's structure, shapes or dtypes, or `score` is not a real scalar.
    """
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tx)
    state = jax.eval_shape(functions.init, one, *args)
    after = jax.eval_shape(functions.step, one, state, jax.ShapeDtypeStruct((), jnp.int32), *args)
    before_def, after_def = jax.tree.structure(state), jax.tree.structure(after)
    if before_def != after_def:
        raise TypeError(f"sweep: step must keep the state's structure, got {after_def}, wanted {before_def}")
    leaves = jax.tree_util.tree_leaves_with_path(state)
    for (path, x), y in zip(leaves, jax.tree.leaves(after), strict=True):
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            raise TypeError(f"sweep: step must keep the state's types, got {describe(y)} at {path_str(path)}, "
                            f"wanted {describe(x)}")  # fmt: skip
    score = jax.eval_shape(functions.score, state, *args)
    if getattr(score, "shape", None) != () or not jnp.issubdtype(score.dtype, jnp.floating):
        raise TypeError(f"sweep: score must return a floating-point scalar, got {describe(score)}")
    return state


def make_plan(
    n: int, steps: int, rounds: int, devices: Sequence[Device], member: int, shared: int, max_bytes: int | None
) -> Plan:
    """The largest equal chunks of `n` members of `member` bytes each, beside `shared` bytes on each device.

    Raises:
        ValueError: not even one member fits in `max_bytes`.
    """
    used = tuple(devices)[:n]
    each = math.ceil(n / len(used))
    if max_bytes is not None:
        fitting = (max_bytes - shared) // max(member, 1)
        if fitting < 1:
            takes = f"one member takes {member} bytes and the arguments all share {shared}"
            raise ValueError(f"sweep: {takes}, got max_bytes={max_bytes}, wanted at least {member + shared}")
        each = min(each, fitting)
    chunks = math.ceil(n / (each * len(used)))
    ends = np.linspace(0, steps, min(rounds, steps) + 1, dtype=int)[1:]
    return Plan(used, math.ceil(n / (chunks * len(used))) * len(used), tuple(map(int, ends)))


def own_devices(devices: Sequence[Device] | None) -> tuple[Device, ...]:
    """The devices to train on, by default all of this process.

    Raises:
        ValueError: for devices of other processes, whose results this one could not read.
    """
    chosen = tuple(devices or jax.local_devices())
    others = [device for device in chosen if getattr(device, "process_index", 0) != jax.process_index()]
    if others:
        raise ValueError(
            f"sweep: devices must be of this process, as jax.local_devices() are, got {len(others)} of others; give "
            "each process members of its own: Sweep(maker, {name: column[jax.process_index()::jax.process_count()] "
            "for name, column in sweep.values.items()})"
        )
    return chosen


def size_of(tree: PyTree) -> int:
    """The bytes of all arrays of a tree, or of their types."""
    return sum(map(precision.bytes_of, jax.tree.leaves(jax.eval_shape(lambda x: x, tree))))


# The two programs, each compiled once for all chunks and rounds.


@partial(jax.jit, static_argnums=(0, 1))
def _start(functions: Functions, mesh: Mesh, tx: PyTree, args: tuple[Any, ...]) -> PyTree:
    """The state of every member before its first step."""
    start = lambda tx, args: jax.vmap(lambda tx: functions.init(tx, *args))(tx)
    return jax.shard_map(start, mesh=mesh, in_specs=(MEMBERS, SHARED), out_specs=MEMBERS, check_vma=False)(tx, args)


@partial(jax.jit, static_argnums=(0, 1))
def _advance(
    functions: Functions, mesh: Mesh, tx: PyTree, states: PyTree, first: Array, last: Array, args: tuple[Any, ...]
) -> tuple[PyTree, Array]:
    """The states and scores of every member after the steps first, ..., last - 1."""

    def advance(tx: PyTree, states: PyTree, first: Array, last: Array, args: tuple[Any, ...]) -> tuple[PyTree, Array]:
        step = jax.vmap(lambda tx, state, i: functions.step(tx, state, i, *args), (0, 0, None))
        states = jax.lax.fori_loop(first, last, lambda i, states: step(tx, states, i), states)
        return states, jax.vmap(lambda state: _grade(state, functions.score(state, *args)))(states)

    specs = MEMBERS, MEMBERS, SHARED, SHARED, SHARED
    split = jax.shard_map(advance, mesh=mesh, in_specs=specs, out_specs=(MEMBERS, MEMBERS), check_vma=False)
    return split(tx, states, first, last, args)


def _grade(state: PyTree, score: Array) -> Array:
    """The score in JAX's default float; infinity where it, or anything in the state, is NaN."""
    broken = [jnp.any(jnp.isnan(x)) for x in (score, *jax.tree.leaves(state)) if is_inexact(x)]
    score = precision.cast(score, jnp.result_type(float))
    return jnp.where(jnp.any(jnp.stack(broken)), jnp.full_like(score, jnp.inf), score)


# The loop over chunks and rounds.


def run(
    functions: Functions, tx: PyTree, n: int, plan: Plan, args: tuple[Any, ...], report: Callable[[int, int], object]
) -> list[Progress]:
    """Train all members, chunk by chunk; on Ctrl-C return those that have begun, as far as they came."""
    mesh = Mesh(np.array(plan.devices), ("members",))
    args = jax.device_put(args, NamedSharding(mesh, SHARED))
    tx = jax.device_get(tx)  # NumPy takes rows without a compilation
    parts: dict[int, Progress] = {}  # by the first member of a chunk
    total = n * plan.rounds[-1]
    try:
        for start in range(0, n, plan.chunk):
            rows = np.minimum(np.arange(start, start + plan.chunk), n - 1)  # the last member fills up the last chunk
            chunk = jax.device_put(take(tx, rows), NamedSharding(mesh, MEMBERS))
            for parts[start] in _train_chunk(functions, mesh, chunk, plan.rounds, args):
                report(start * plan.rounds[-1] + min(plan.chunk, n - start) * parts[start].steps, total)
            parts[start] = _to_host(parts[start])  # the memory of the devices is for the next chunk
    except KeyboardInterrupt:
        if not parts:
            raise
    return [_head(_to_host(part), n - start) for start, part in parts.items()]


def _train_chunk(
    functions: Functions, mesh: Mesh, tx: PyTree, rounds: tuple[int, ...], args: tuple[Any, ...]
) -> Iterator[Progress]:
    """One chunk after each round."""
    states = _start(functions, mesh, tx, args)
    for first, last in pairwise((0, *rounds)):
        # Nothing is donated: if this round is interrupted, the states of the round before are still there.
        advanced = _advance(functions, mesh, tx, states, np.int32(first), np.int32(last), args)
        states, scores = jax.block_until_ready(advanced)
        yield Progress(states, scores, last)


def _to_host(part: Progress) -> Progress:
    states, scores = jax.device_get((part.states, part.scores))
    return Progress(states, scores, part.steps)


def _head(part: Progress, count: int) -> Progress:
    states, scores = take((part.states, part.scores), slice(count))
    return Progress(states, scores, part.steps)


# Trees of members.


def take(tree: PyTree, rows: Any) -> PyTree:
    """Some members, or one, of a tree whose leaves have a leading axis of them."""
    return jax.tree.map(lambda x: x[rows], tree)


def join(trees: list[PyTree]) -> PyTree:
    """Trees of equal structure, one after the other along the members' axis."""
    return jax.tree.map(lambda *xs: _module(xs[0]).concatenate(xs), *trees)


def stack(trees: Sequence[PyTree]) -> PyTree:
    """Trees of equal structure as one with a new axis of members."""
    return jax.tree.map(_stack, *trees)


def _stack(*xs: Any) -> Array:
    if _module(xs[0]) is jnp:
        return jnp.stack(xs)
    return jnp.asarray(np.stack([np.asarray(x) for x in xs]))


def _module(x: Any) -> Any:
    """Random keys have no NumPy form."""
    is_key = isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return jnp if is_key else np
