"""Read and change the hyperparameters of a value by name or path."""

from typing import Any

import jax

from gradtx.core.typing import Arguments, PyTree
from gradtx.core.values import Value


def hyperparameters(value: PyTree) -> Arguments:
    """The hyperparameters of a transformation (or of any tree of them) by path.

    Args:
        value: a transformation, a schedule, or any pytree that holds some.

    Returns:
        A dictionary from path to number, array or schedule, for example `{"links[1].learning_rate": 0.001}`.
        A schedule counts as one hyperparameter; its own are `hyperparameters(schedule)`.
    """
    is_schedule = lambda x: isinstance(x, Value) and callable(x)
    leaves = jax.tree_util.tree_leaves_with_path(value, is_leaf=lambda x: x is not value and is_schedule(x))
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def replace(value: Any, /, **changes: Any) -> Any:
    """A copy of a transformation with some arguments changed, however deep they lie.

    A plain name changes every argument of that name; a path, as `hyperparameters` prints it, changes one:
    `replace(tx, learning_rate=3e-4)`, `replace(tx, **{"links[0].max_norm": 0.5})`. Static arguments (`nesterov`)
    may be changed too; then the state may need another structure.

    Args:
        value: a transformation or schedule, or a pytree that holds some.
        **changes: the new arguments, by name or path.

    Returns:
        The changed copy, validated as if it had been built by hand; no array on a device is read for that.

    Raises:
        ValueError: a name that nothing in `value` has; the message lists the known ones.
    """
    known: dict[str, None] = {}
    used: set[str] = set()

    def edit(x: Any, prefix: str) -> Any:
        if not isinstance(x, Value):
            at = lambda path, y: edit(y, prefix + jax.tree_util.keystr(path)) if isinstance(y, Value) else y
            return jax.tree_util.tree_map_with_path(at, x, is_leaf=lambda y: isinstance(y, Value))
        new = {name: edit_argument(x, name, f"{prefix}.{name}".lstrip(".")) for name in x.arguments}
        return x.with_arguments(new)

    def edit_argument(x: Value, name: str, path: str) -> Any:
        argument = x.arguments[name]
        known.update({name: None, path: None})
        # A kind of weight decay keeps its mask when its strength, of the same name, is changed.
        wraps = isinstance(argument, Value) and name in argument.arguments
        for key in (path, name):
            if key in changes and not (wraps and not isinstance(changes[key], type(argument) | None)):
                used.add(key)
                return changes[key]
        return edit(argument, path) if name in x.dynamic else argument

    result = edit(value, "")
    unknown = [name for name in changes if name not in used]
    if unknown:
        raise ValueError(f"replace: no hyperparameter named {unknown[0]!r}; known: {', '.join(known)}")
    return result
