"""What the tests share: small trees, gradients, and runs of a transformation."""

from collections.abc import Callable
from typing import Any, TypeAlias

import chex
import jax
import jax.numpy as jnp
import numpy as np

import gradtx
from gradtx.core.values import Maker

Extra: TypeAlias = Callable[[Any, Any], dict[str, Any]]
Shapes: TypeAlias = dict[str, tuple[int, ...]]
SHAPES: Shapes = {"scalar": (), "vector": (5,), "matrix": (4, 3), "kernel": (2, 3, 2, 4)}
_compiled: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, _, **about: _compiled.append(event) if event.endswith("backend_compile_duration") else None
)
FEW: Shapes = {"scalar": (), "matrix": (4, 3)}  # for the laws, whose time is nearly all compilation


def make_params(dtype: Any = jnp.float32, seed: int = 0, shapes: Shapes = SHAPES) -> dict[str, Any]:
    """A scalar, a vector, a matrix and a 4-D kernel, normal with unit variance."""
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(draw(rng, shape, dtype), dtype) for name, shape in shapes.items()}


def make_grads(steps: int, dtype: Any = jnp.float32, seed: int = 1, shapes: Shapes = SHAPES) -> dict[str, Any]:
    """Gradients of `make_params` for some steps, stacked on a leading axis."""
    rng = np.random.default_rng(seed)
    return {name: jnp.asarray(draw(rng, (steps, *shape), dtype), dtype) for name, shape in shapes.items()}


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Normal numbers, complex where the dtype is."""
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if jnp.issubdtype(dtype, jnp.complexfloating) else np.asarray(x)


def compilations(call: Callable[[], Any]) -> int:
    """How many programs are compiled while `call` runs; those of before are not, unless `jax.clear_caches` ran."""
    before = len(_compiled)
    jax.block_until_ready(call())
    return len(_compiled) - before


def at(tree: Any, i: int) -> Any:
    """The i-th entry of every leaf."""
    return jax.tree.map(lambda x: x[i], tree)


def train(tx: Any, params: Any, grads: Any, extra: Extra | None = None) -> tuple[Any, Any, Any]:
    """Scan over stacked gradients: the final parameters and state, and the updates of each step."""

    def body(carry: Any, g: Any) -> tuple[Any, Any]:
        params, state = carry
        updates, state = tx.update(g, state, params, **(extra(params, g) if extra else {}))
        return (gradtx.apply_updates(params, updates), state), updates

    (params, state), updates = jax.lax.scan(body, (params, tx.init(params)), grads)
    return params, state, updates


def assert_same_run(ours: Any, theirs: Any, steps: int = 20) -> None:
    """Two optimizers make the same updates; `theirs`, of another library, under JAX's usual promotion of dtypes."""
    params, grads = make_params(shapes=FEW), make_grads(steps, shapes=FEW)
    with jax.numpy_dtype_promotion("standard"):
        wanted = jax.jit(lambda: train(theirs, params, grads)[2])()
    got = jax.jit(lambda: train(ours, params, grads)[2])()
    chex.assert_trees_all_close(got, wanted, rtol=1e-5, atol=1e-6)


def nudged(tx: Any, k: int) -> Any:
    """`tx` with every floating hyperparameter made a little smaller, more so for a larger k."""
    return jax.tree.map(lambda h: h * (1 - 0.01 * k) if isinstance(h, float) else h, tx)


def stacked(values: list[Any]) -> Any:
    """Values of one structure as one value of stacked hyperparameters."""
    return jax.tree.map(lambda *xs: jnp.stack([jnp.asarray(x) for x in xs]), *values)


def types_of(tree: Any) -> Any:
    """The structure of a tree, with the shape, dtype and weak type of every leaf."""
    kind = lambda x: (jnp.shape(x), jnp.result_type(x), bool(getattr(x, "weak_type", False)))
    return jax.tree.structure(tree), list(map(kind, jax.tree.leaves(tree)))


def plain(tree: Any) -> Any:
    """Every leaf as something that compares: random keys as their data."""
    is_key = lambda x: jnp.issubdtype(jnp.result_type(x), jax.dtypes.prng_key)
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)


def optimizer_makers() -> dict[str, Any]:
    """Every public maker of a full optimizer: those that take a learning rate first and nothing else they insist on."""
    found: dict[str, Any] = {}
    for name, maker in vars(gradtx).items():
        if isinstance(maker, Maker) and maker.kind is gradtx.GradientTransformation and not name.startswith("scale_by"):
            parameters = [p.inspected for p in maker.parameters.values()]
            needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
            if parameters and "learning_rate" in parameters[0].name and needed in ([], [parameters[0].name]):
                found[name] = maker
    return found
