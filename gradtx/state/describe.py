"""What an optimizer is and what it keeps: its links, their hyperparameters, and the bytes of their states."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp

from gradtx.core import precision
from gradtx.core.codecs.coded import is_coded
from gradtx.core.edit import hyperparameters
from gradtx.core.repack import unpacked
from gradtx.core.selection import path_parts
from gradtx.core.transformation import GradientTransformation, as_transformation
from gradtx.core.typing import PyTree
from gradtx.core.values import show
from gradtx.core.walk import declared
from gradtx.state.names import children_of, link_name
from gradtx.state.slots import owners


@dataclass(frozen=True)
class Link:
    """A link of a chain: its name, its hyperparameters by path, and the bytes of its state."""

    name: str
    hyperparameters: dict[str, Any]
    bytes: int


@dataclass(frozen=True)
class SlotBytes:
    """A slot: its link's name and its own, how it is kept, and its bytes; and those it would have as it starts."""

    link: str
    name: str
    kept: tuple[str, ...]  # the dtypes and codecs of its arrays
    bytes: int
    plain_bytes: int


@dataclass(frozen=True)
class ParameterBytes:
    """A parameter: its path, type and bytes, and the bytes of the state that belong to it alone."""

    path: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    state_bytes: int


@dataclass(frozen=True)
class Description:
    """What `describe` finds; prints as tables: links, slots where some are stored in another way, parameters."""

    links: tuple[Link, ...]
    parameters: tuple[ParameterBytes, ...]
    shared_bytes: int  # of state that belongs to no single parameter, such as step counts
    state_bytes: int  # all of the state
    slots: tuple[SlotBytes, ...] = ()

    def __str__(self) -> str:
        links = [["link", "bytes", "hyperparameters"]]
        for link in self.links:
            shown = ", ".join(f"{name}={show(x)}" for name, x in link.hyperparameters.items())
            first, *rest = textwrap.wrap(shown, 72, break_long_words=False) or [""]
            links += [[link.name, f"{link.bytes:,}", first], *(["", "", line] for line in rest)]
        links.append(["all", f"{self.state_bytes:,}", ""])
        params = [["parameter", "type", "bytes", "state bytes"]]
        params += [[p.path, f"{p.dtype}{p.shape}", f"{p.bytes:,}", f"{p.state_bytes:,}"] for p in self.parameters]
        params.append(["shared", "", "", f"{self.shared_bytes:,}"])
        total = sum(p.bytes for p in self.parameters)
        params.append(["all", "", f"{total:,}", f"{self.state_bytes:,}"])
        tables = [_table(links, "<><"), _table(params, "<<>>")]
        if any(slot.bytes != slot.plain_bytes for slot in self.slots):
            slots = [["slot", "kept in", "bytes", "without"]]
            slots += [
                [f"{s.link}/{s.name}", ", ".join(s.kept), f"{s.bytes:,}", f"{s.plain_bytes:,}"] for s in self.slots
            ]
            tables.insert(1, _table(slots, "<<>>"))
        return "\n\n".join(tables)


def describe(tx: GradientTransformation, params: PyTree) -> Description:
    """The links of an optimizer, with their hyperparameters, and the bytes of state per link and per parameter.

        print(gradtx.describe(tx, params))

    Args:
        tx: an optimizer; it and the chains in it are taken apart into links, a wrapper counts as one link.
        params: its parameters, or `jax.ShapeDtypeStruct`s of them: nothing is allocated or computed.

    Returns:
        A value with the fields `links`, `slots`, `parameters`, `shared_bytes` and `state_bytes`.
    """
    tx = as_transformation(tx)
    state = jax.eval_shape(tx.init, params)
    owner = owners(tx, params)
    by_param: dict[Any, int] = {}
    for path, x in jax.tree_util.tree_leaves_with_path(unpacked(state), is_leaf=is_coded):
        if path in owner:
            by_param[owner[path]] = by_param.get(owner[path], 0) + _bytes(x)
    rows: list[ParameterBytes] = []
    for path, p in jax.tree_util.tree_leaves_with_path(jax.eval_shape(unpacked, params)):
        rows.append(
            ParameterBytes(path_parts(path) or "(root)", str(p.dtype), p.shape, _bytes(p), by_param.get(path, 0))
        )
    links = tuple(Link(name, hyperparameters(link), _bytes(kept)) for name, link, kept in links_of(tx, state))
    total = _bytes(state)
    return Description(links, tuple(rows), total - sum(by_param.values()), total, tuple(_slots_of(state, params)))


def _slots_of(state: Any, params: PyTree) -> Iterable[SlotBytes]:
    """Every slot of a state of types alone, with its bytes and those that it would have in 32 bits or more."""
    for path, name, _, slot in declared(state, params):
        node = state
        for key in path[:-1]:
            node = dict(children_of(node) or ())[key]
        arrays = [
            x for x in jax.tree.leaves(slot, is_leaf=is_coded) if is_coded(x) or jnp.issubdtype(x.dtype, jnp.number)
        ]
        kept = dict.fromkeys(repr(x.codec) if is_coded(x) else str(x.dtype) for x in arrays)
        plain = sum(x.size * max(precision.compute_dtype(x.dtype).itemsize, 4) for x in arrays)
        if arrays:
            yield SlotBytes(link_name(node) or "", name, tuple(kept), _bytes(slot), plain)


def links_of(tx: GradientTransformation, state: Any, label: str = "") -> Iterable[tuple[str, Any, Any]]:
    """The links that a transformation is a chain of, with their states, by name; a named chain's go before them."""
    built = tx.steps_as()
    links = built.arguments.get("links")
    if isinstance(links, dict):
        for name, link in cast("dict[str, GradientTransformation]", links).items():
            yield from links_of(link, state[name], f"{label}{name}: ")
    elif isinstance(links, tuple):
        for link, kept in zip(cast("tuple[GradientTransformation, ...]", links), state, strict=True):
            yield from links_of(link, kept, label)
    else:
        yield f"{label}{built.name}", built, state


def _bytes(tree: PyTree) -> int:
    return sum(precision.bytes_of(x) for x in jax.tree.leaves(tree))


def _table(rows: list[list[str]], align: str) -> str:
    """Rows in columns, each aligned to the left (`<`) or to the right (`>`)."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{x:{a}{w}}" for x, a, w in zip(row, align, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
