"""The table of differences from Optax, as docs/reference/optax_differences.md shows it.

`python -m tests.optax_table` trains a small network on scikit-learn's digits with every optimizer under both libraries
and writes the page; it takes some minutes. tests/test_optax_table.py only checks that the page has every row.
"""

import inspect
import sys
import warnings
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gradtx.compat.optax as ours
from examples._digits import load_small_digits
from gradtx.compat.optax import config

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "optax_differences.md"
STEPS, BATCH = 100, 64
LAYERS = (64, 32, 10)
INTRO = f"""# Differences from Optax

Every optimizer of Optax 0.2.8 and the same one of [`gradtx.compat.optax`](../guide/optax.md), on one task: a network of
{", ".join(map(str, LAYERS))} units and tanh, in float32, on scikit-learn's digits, {STEPS} steps on batches of {BATCH}.
Both start from the same parameters and see the same batches. (`lbfgs`, whose line search wants a loss that stays the
same, has 20 steps on one batch; after more, nothing but rounding is left of the loss.)

*Parameters* is the largest difference of a parameter after {STEPS} steps, over the largest change of one; *in float64*
is the same where both run in float64. *Loss* is the largest difference of the training loss at any step, beside *last
loss*, its mean over the last ten. What is gone in float64 is rounding: the libraries order sums differently, and the
`1 - b2**t` of Optax cancels in the first steps, of which the methods that find their own step size make more. (Optax
takes GaLore's subspace in float32 also there.) *As Optax* has the first two numbers again where gradtx differs on
purpose, with [Optax's deviations repeated](../guide/optax.md#where-gradtx-differs-on-purpose).

`python -m tests.optax_table` writes the page, in some minutes. A test checks that it has a row for every optimizer; the
numbers are not checked again, since their last digits change with the machine.
"""


class Run(NamedTuple):
    """One optimizer under both libraries."""

    name: str  # under `optax`, or after a dot under `optax.contrib`
    build: Callable[[Any], Any]  # from the function of that name
    call: str  # as the page shows it
    differs: str = ""  # why the numbers are not Optax's


def run(name: str, *args: Any, differs: str = "", **kwargs: Any) -> Run:
    """A row from the arguments."""
    shown = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
    return Run(name, lambda make: make(*args, **kwargs), f"{name.removeprefix('contrib.')}({shown})", differs)


RUNS = [
    run("adabelief", 1e-3),
    run("adadelta", 1.0),
    run("adafactor", 1e-2, min_dim_size_to_factor=16),
    run("adagrad", 1e-2),
    run("adam", 1e-3),
    run("adamax", 1e-3),
    run("adamaxw", 1e-3, weight_decay=1e-2),
    run("adamw", 1e-3, weight_decay=1e-2),
    run("adan", 1e-3, differs="Optax weighs the change of the gradient by 1 - b2"),
    run("amsgrad", 1e-3),
    run("fromage", 1e-2),
    run("lamb", 1e-2),
    run("lars", 1.0),
    run("lbfgs"),
    run("lion", 1e-4),
    run("nadam", 1e-3),
    run("nadamw", 1e-3, weight_decay=1e-2),
    run("noisy_sgd", 0.1, key=3),
    run("novograd", 1e-2),
    run("optimistic_adam", 1e-3, optimism=1e-3),
    run("optimistic_adam_v2", 1e-3),
    run("optimistic_gradient_descent", 0.1),
    run("polyak_sgd", 0.1),
    run("radam", 1e-3),
    run("rmsprop", 1e-3),
    run("rprop", 1e-3, differs="Optax makes each step one update late"),
    run("sgd", 0.1, 0.9),
    run("sign_sgd", 1e-3),
    run("signum", 1e-3),
    run("sm3", 1e-1),
    run("yogi", 1e-2),
    run("contrib.acprop", 1e-3, differs="Optax takes the variance around the average of before the step"),
    run("contrib.ademamix", 1e-3),
    run("contrib.adopt", 1e-3),
    run("contrib.cocob"),
    run("contrib.dadapt_adamw"),
    run("contrib.dog"),
    run("contrib.dowg"),
    run("contrib.dpsgd", 0.1, 1.0, 0.1, 3),
    run("contrib.galore", 1e-3, rank=8, update_proj_gap=30),
    run("contrib.madgrad", 1e-2),
    run("contrib.momo", weight_decay=0.1, differs="Optax's decay divides the parameters, but not the step"),
    run("contrib.momo_adam", weight_decay=1.0, differs="Optax's decay divides the parameters, but not the step"),
    run("contrib.muon", 1e-2),
    run("contrib.prodigy"),
    run("contrib.schedule_free_adamw"),
    run("contrib.schedule_free_sgd"),
    run("contrib.simplified_ademamix", 1e-5),
    run("contrib.sophia", 1e-3),
]


def optimizers(library: Any) -> list[str]:
    """The names of all optimizers of Optax: the functions whose first argument is a learning rate."""
    names: list[str] = []
    for prefix, module in (("", library), ("contrib.", library.contrib)):
        for name, value in sorted(vars(module).items()):
            if isinstance(value, FunctionType | partial) and not name.startswith(("_", "scale_by_")):
                first = next(iter(inspect.signature(value).parameters), "")
                names += [prefix + name] if "learning_rate" in first else []
    return names


def loss_of(params: Any, images: jax.Array, labels: jax.Array) -> jax.Array:
    """The mean cross-entropy of a batch, or the loss of one example."""
    x = images
    for i, (w, b) in enumerate(params):
        x = x @ w + b
        x = jnp.tanh(x) if i < len(params) - 1 else x
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(x) * jax.nn.one_hot(labels, LAYERS[-1]), axis=-1))


def task(dtype: Any) -> tuple[Any, jax.Array, jax.Array]:
    """The first parameters, and the images and labels of all batches."""
    rng = np.random.default_rng(0)
    digits = load_small_digits(seed=0)
    chosen = rng.integers(len(digits.train_labels), size=(STEPS, BATCH))
    params = [
        (jnp.asarray(rng.standard_normal((m, n)) / np.sqrt(m), dtype), jnp.zeros(n, dtype)) for m, n in pairwise(LAYERS)
    ]
    return params, jnp.asarray(digits.train_images[chosen], dtype), jnp.asarray(digits.train_labels[chosen])


def train(library: Any, row: Run, dtype: Any) -> tuple[Any, np.ndarray]:
    """The parameters before and after, and the loss at every step."""
    module = library.contrib if row.name.startswith("contrib.") else library
    tx = library.with_extra_args_support(row.build(getattr(module, row.name.removeprefix("contrib."))))
    first, *data = task(dtype)
    if row.name == "lbfgs":
        data = [jnp.stack([x[0]] * 20) for x in data]

    def step(carry: Any, batch: Any) -> Any:
        params, state = carry
        objective = lambda p: loss_of(p, *batch)
        value, gradients = jax.value_and_grad(objective)(params)
        if row.name == "contrib.dpsgd":
            gradients = jax.vmap(jax.grad(loss_of), (None, 0, 0))(params, *batch)
        extra = dict(value=value, grad=gradients, value_fn=objective) if row.name == "lbfgs" else {}
        extra |= {"value": value} if "momo" in row.name or "polyak" in row.name else {}
        extra |= {"obj_fn": objective} if row.name == "contrib.sophia" else {}
        updates, state = tx.update(gradients, state, params, **extra)
        return (library.apply_updates(params, updates), state), value

    (last, _), losses = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), tuple(data)))(first)
    return (first, last), np.asarray(losses)


def largest(x: Any, y: Any) -> float:
    """The largest difference of two trees."""
    return max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(*map(jax.tree.leaves, (x, y)), strict=True))


def differences(row: Run, optax: Any, dtype: Any, *, as_optax: bool = False) -> tuple[float, float, float]:
    """The largest difference of a parameter over the largest change of one, that of the losses, and the last loss."""
    (first, wanted), wanted_losses = train(optax, row, dtype)
    with config.reproducing_optax(as_optax):
        (_, got), losses = train(ours, row, dtype)
    gap = float(np.max(np.abs(losses - wanted_losses)))
    return largest(got, wanted) / largest(first, wanted), gap, float(losses[-10:].mean())


def line(row: Run, optax: Any) -> str:
    """One row of the table."""
    number = lambda x: "0" if x == 0 else f"{x:.0e}"
    parameters, loss, last = differences(row, optax, jnp.float32)
    with jax.enable_x64(True):
        wide = differences(row, optax, jnp.float64)[0]
    again = differences(row, optax, jnp.float32, as_optax=True)[:2] if row.differs else ()
    cells = [f"`{row.call}`", *map(number, (parameters, wide, loss)), f"{last:.2f}", " ".join(map(number, again))]
    return "| " + " | ".join([*cells, row.differs]) + " |"


def head(title: str) -> list[str]:
    """The lines above a table."""
    columns = ("optimizer", "parameters", "in float64", "loss", "last loss", "as Optax", "why")
    return [f"## {title}\n", "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]


def page(optax: Any) -> str:
    """The whole page."""
    out = [INTRO]
    for title, in_contrib in (("optax", False), ("optax.contrib", True)):
        out += head(title)
        for row in RUNS:
            if row.name.startswith("contrib.") == in_contrib:
                out.append(line(row, optax))
                print(out[-1], file=sys.stderr, flush=True)
        out.append("")
    return "\n".join(out)


if __name__ == "__main__":
    import optax as installed

    warnings.simplefilter("ignore")
    PAGE.write_text(page(installed))
