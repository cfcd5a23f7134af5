"""Which part of a state belongs to which parameter."""

from collections.abc import Callable
from typing import Any

import jax

from gradtx.core import restart
from gradtx.core.codecs.coded import is_coded, opened
from gradtx.core.errors import is_none
from gradtx.core.repack import repacked, unpacked
from gradtx.core.transformation import GradientTransformation, as_transformation
from gradtx.core.typing import PyTree
from gradtx.core.walk import Path, declared
from gradtx.state.names import entries


def owners(tx: GradientTransformation, params: PyTree) -> dict[Path, Path]:
    """For every array of the state, unpacked, that belongs to one parameter: its path, and that of the parameter.

    Such arrays are in the fields that a state's type declares slots. The states of another library declare nothing:
    there, what has the parameters' tree and shapes is taken for a slot. Nothing is allocated.
    """
    if jax.tree_util.all_leaves([params]):
        # A single array looks like any other leaf of the state; in a list it does not.
        inside = owners_in(unpacked(jax.eval_shape(as_transformation(tx).init, [params])), [params])
        return {_without(path, at): () for path, (at, _) in inside.items()}
    state = unpacked(jax.eval_shape(as_transformation(tx).init, params))
    return {path: owner for path, (_, owner) in owners_in(state, unpacked(params)).items()}


def owners_in(state: PyTree, params: PyTree) -> dict[Path, tuple[int, Path]]:
    """For every array of a slot that has the tree of `params`: how deep the slot lies, and its parameter's path.

    What is coded counts as one array.
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(params, is_leaf=is_none)
    found: dict[Path, tuple[int, Path]] = {}
    for path, _, _, slot in declared(state, params):
        try:
            parts = treedef.flatten_up_to(slot)
        except ValueError:  # a slot of something else, such as the vector of `flatten`
            continue
        for (owner, p), part in zip(paths, parts, strict=True):
            if p is not None:
                leaves = jax.tree_util.tree_leaves_with_path(part, is_leaf=is_coded)
                found |= {(*path, *owner, *below): (len(path), owner) for below, _ in leaves}
    return found


def map_slots(f: Callable[..., Any], tx: GradientTransformation, state: PyTree, params: PyTree, *rest: PyTree) -> Any:
    """Apply a function to every array of a state that belongs to one parameter: `f(slot, parameter, *others)`.

    What belongs to none (step counts, running norms of the whole tree) stays as it is. The function sees the numbers
    of a slot that is stored in codes; an array of that shape that it gives is stored in such again.

        on_host = gradtx.map_slots(lambda slot, p: jax.device_put(slot, jax.devices("cpu")[0]), tx, state, params)

    Args:
        f: what to apply; its results may be of any type.
        tx: the optimizer.
        state: its state.
        params: its parameters, or anything of their tree, shapes and dtypes.
        *rest: more trees like `params`.

    Returns:
        The state with the results in place.

    Raises:
        ValueError: a state that is not one of `tx` for these parameters.
    """
    given, state = state, unpacked(state)
    counts = jax.tree.map(restart.of_run, state, is_leaf=restart.is_per_leaf)
    check_state("map_slots", tx, counts, params)
    owner = owners(tx, params)
    columns = [dict(jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_none)) for tree in unpacked((params, *rest))]

    def at(path: Path, x: Any) -> Any:
        if path not in owner:
            return x
        new = f(opened(x), *(column[owner[path]] for column in columns))
        return x.again(new) if is_coded(x) and getattr(new, "shape", None) == x.shape else new

    is_whole = lambda x: is_coded(x) or restart.is_per_leaf(x)
    return repacked(jax.tree_util.tree_map_with_path(at, state, is_leaf=is_whole), given)


def check_state(name: str, tx: GradientTransformation, state: PyTree, params: PyTree) -> None:
    """Refuse a state, unpacked, that `tx` does not have for these parameters.

    Raises:
        ValueError: names the first entry that only one of them has, or that differs in shape.
    """
    wanted = unpacked(jax.eval_shape(as_transformation(tx).init, params))
    ours, theirs = ({e.name: e.value for e in entries(x) if e.is_leaf} for x in (state, wanted))
    for where, has, lacks in (("the state given", ours, theirs), ("the optimizer's", theirs, ours)):
        if only := [key for key in has if key not in lacks]:
            raise ValueError(f"{name}: the state is not this optimizer's for these params: only {where} has {only[0]}")
    for key, x in ours.items():
        if (shape := x.shape if is_coded(x) else jax.numpy.shape(x)) != theirs[key].shape:
            shapes = f"{shape} != {theirs[key].shape}"
            raise ValueError(f"{name}: the state is not this optimizer's for these params: {key} has shape {shapes}")
    if jax.tree.structure(state) != jax.tree.structure(wanted):
        raise ValueError(f"{name}: the state has another tree than this optimizer's for these params")


def _without(path: Path, at: int) -> Path:
    return path[:at] + path[at + 1 :]
