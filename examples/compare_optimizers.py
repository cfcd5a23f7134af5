"""Train one MLP on handwritten digits with seven optimizers, and compare them.

All optimizers and seeds train in one compiled program: a scan over steps, whose body is
vmapped over seeds and holds every optimizer. At one seed all optimizers start from the same
weights and see the same batches. Prints a table and draws the loss curves.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import Array
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

import gradtx
from _digits import CLASSES, DataError, Digits, load_mnist, load_small_digits
from _figures import FigureParser, label_ends, look, number, save, use_style, whole
from gradtx import GradientTransformation

OPTIMIZERS = {
    "SGD": gradtx.sgd(0.1),
    "Momentum": gradtx.sgd(0.05, momentum=0.9),
    "Nesterov": gradtx.sgd(0.05, momentum=0.9, nesterov=True),
    "AdaGrad": gradtx.adagrad(0.05),
    "RMSProp": gradtx.rmsprop(0.001),
    "Adam": gradtx.adam(0.001),
    "AdamW": gradtx.adamw(0.001, weight_decay=0.1),
}
INITIALIZERS = {"he": jax.nn.initializers.he_normal(), "xavier": jax.nn.initializers.glorot_normal()}
HIDDEN = (128, 64)
LONGEST_CHUNK = 50  # steps between two moves of the progress bar
TIMED_STEPS = 100  # steps to measure the speed of one optimizer
CURVE_POINTS = 40  # points of a drawn curve, each a mean over its share of the steps

Params = list[dict[str, Array]]  # one {"w", "b"} per layer


class Run(NamedTuple):
    """One training run: what a step changes."""

    params: Params
    state: Any


class Task(NamedTuple):
    """What the runs of all optimizers share."""

    images: Array  # (train, pixels)
    labels: Array  # (train,)
    l2: Array  # the loss gets l2 / 2 times the sum of all squared weights


# The model.


def init_mlp(key: Array, sizes: tuple[int, ...], initializer: Callable[..., Array]) -> Params:
    keys = jax.random.split(key, len(sizes) - 1)
    shapes = zip(keys, pairwise(sizes), strict=True)
    return [{"w": initializer(key, shape), "b": jnp.zeros(shape[1])} for key, shape in shapes]


def mlp(params: Params, image: Array) -> Array:
    """The logits of one image."""
    x = image
    for layer in params[:-1]:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    return x @ params[-1]["w"] + params[-1]["b"]


def cross_entropy(params: Params, images: Array, labels: Array) -> Array:
    log_probabilities = jax.nn.log_softmax(jax.vmap(mlp, (None, 0))(params, images))
    return -jnp.mean(jnp.take_along_axis(log_probabilities, labels[:, None], axis=1))


def objective(params: Params, images: Array, labels: Array, l2: Array) -> tuple[Array, Array]:
    """The loss to minimise, and the part of it without the penalty."""
    loss = cross_entropy(params, images, labels)
    return loss + l2 / 2 * sum(jnp.sum(layer["w"] ** 2) for layer in params), loss


# The training loop.


def train_step(tx: GradientTransformation, run: Run, images: Array, labels: Array, l2: Array) -> tuple[Run, Array]:
    (_, loss), grads = jax.value_and_grad(objective, has_aux=True)(run.params, images, labels, l2)
    updates, state = tx.update(grads, run.state, run.params)
    return Run(gradtx.apply_updates(run.params, updates), state), loss


@partial(jax.jit, static_argnames="batch_size")
def train(
    optimizers: dict[str, GradientTransformation],
    runs: dict[str, Run],
    keys: Array,
    steps: Array,
    task: Task,
    batch_size: int,
) -> tuple[dict[str, Run], dict[str, Array]]:
    """Take `steps` (their numbers) with all optimizers on all seeds; the losses are (steps, seeds)."""

    # gallery: all optimizers on one batch, all seeds by `jax.vmap`, all steps by `jax.lax.scan`
    def one_seed(runs: dict[str, Run], key: Array, step: Array) -> tuple[dict[str, Run], dict[str, Array]]:
        rows = jax.random.randint(jax.random.fold_in(key, step), (batch_size,), 0, len(task.labels))
        images, labels = task.images[rows], task.labels[rows]
        out = {name: train_step(tx, runs[name], images, labels, task.l2) for name, tx in optimizers.items()}
        return {name: run for name, (run, _) in out.items()}, {name: loss for name, (_, loss) in out.items()}

    def all_seeds(runs: dict[str, Run], step: Array) -> tuple[dict[str, Run], dict[str, Array]]:
        return jax.vmap(one_seed, (0, 0, None))(runs, keys, step)

    return jax.lax.scan(all_seeds, runs, steps)
    # gallery: end


@jax.jit
def score(params: Params, images: Array, labels: Array) -> tuple[Array, Array]:
    """Mean loss and accuracy of each seed's network, one seed after the other to save memory."""

    def one_seed(params: Params) -> tuple[Array, Array]:
        guesses = jnp.argmax(jax.vmap(mlp, (None, 0))(params, images), axis=1)
        return cross_entropy(params, images, labels), jnp.mean(guesses == labels)

    return jax.lax.map(one_seed, params)


@partial(jax.jit, static_argnames=("initializer", "sizes"))
def start(initializer: Callable[..., Array], sizes: tuple[int, ...], keys: Array) -> dict[str, Run]:
    """The runs before the first step: at one seed, all optimizers have the same weights."""
    params = jax.vmap(lambda key: init_mlp(key, sizes, initializer))(keys)
    return {name: Run(params, jax.vmap(tx.init)(params)) for name, tx in OPTIMIZERS.items()}


def train_all(
    runs: dict[str, Run], keys: Array, steps: int, task: Task, batch_size: int
) -> tuple[dict[str, Run], dict[str, NDArray[np.float32]], float]:
    """Train to the end under a progress bar. Also returns every loss and the seconds without compilation."""
    chunk = max(size for size in range(1, LONGEST_CHUNK + 1) if steps % size == 0)
    losses = []
    with tqdm(total=steps, unit="step", desc="Training") as bar:
        program = train.lower(OPTIMIZERS, runs, keys, jnp.arange(chunk), task, batch_size=batch_size).compile()
        bar.unpause()
        began = time.perf_counter()
        for first in range(0, steps, chunk):
            runs, loss = jax.block_until_ready(program(OPTIMIZERS, runs, keys, first + jnp.arange(chunk), task))
            losses.append(jax.device_get(loss))
            bar.update(chunk)
        seconds = time.perf_counter() - began
    return runs, {name: np.concatenate([loss[name] for loss in losses]) for name in OPTIMIZERS}, seconds


def speed(name: str, run: Run, keys: Array, task: Task, batch_size: int) -> float:
    """Steps per second of one optimizer in a program of its own: the best of three timings."""
    inputs = {name: OPTIMIZERS[name]}, {name: run}, keys, jnp.arange(TIMED_STEPS), task
    program = train.lower(*inputs, batch_size=batch_size).compile()
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(program(*inputs))
        seconds.append(time.perf_counter() - began)
    return TIMED_STEPS / min(seconds)


# The results.


def print_row(name: str, loss: Array, accuracy: Array, steps_per_second: float) -> None:
    percent = 100 * np.asarray(accuracy)
    spread = f"{percent.mean():.2f} % ± {percent.std():.2f}"
    print(f"{name:<10} {np.mean(loss):>13.2g} {spread:>16} {steps_per_second:>14,.0f}")


def draw(losses: dict[str, NDArray[np.float32]], title: str) -> Figure:
    """The loss curves of all optimizers; losses are (steps, seeds)."""
    use_style()
    figure, axes = plt.subplots(figsize=(7.5, 4.6))
    steps, seeds = next(iter(losses.values())).shape
    parts = min(steps, CURVE_POINTS)
    middles = [part.mean() for part in np.array_split(np.arange(1, steps + 1), parts)]
    ends = {}
    for name, loss in losses.items():
        curve = np.stack([part.mean(axis=0) for part in np.array_split(loss, parts)])
        axes.fill_between(middles, curve.min(axis=1), curve.max(axis=1), color=look(name)["color"], alpha=0.15, lw=0)
        axes.plot(middles, curve.mean(axis=1), **look(name))
        ends[name] = middles[-1], curve[-1].mean()
    axes.set(yscale="log", xlim=(0, steps), xlabel="Step", ylabel="Training loss (cross-entropy)", title=title)
    axes.grid(True)
    about = "" if steps % parts == 0 else "about "
    note = f"Line: mean over {seeds} seeds and {about}{steps / parts:.0f} steps\nBand: lowest to highest seed"
    axes.text(0.02, 0.04, note, transform=axes.transAxes, fontsize=9.5)
    label_ends(axes, ends, gap=0.065)
    return figure


def parse() -> tuple[argparse.Namespace, Digits]:
    """The arguments and the data they ask for."""
    parser = FigureParser(__doc__, picture="compare_optimizers.png")
    parser.add_argument("--steps", type=whole(2), help="steps of each run (default: 2000, with --quick: 60)")
    parser.add_argument("--seeds", type=whole(1), help="runs of each optimizer (default: 5, with --quick: 2)")
    parser.add_argument("--batch-size", type=whole(1), default=64, help="images per step (default: %(default)s)")
    parser.add_argument("--init", choices=INITIALIZERS, default="he", help="how weights start (default: %(default)s)")
    parser.add_argument("--l2", type=number(0, 1), default=0.0, help="L2 penalty on all weights (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="folder of the MNIST IDX files, to train on these instead")
    args = parser.parse_args()
    args.steps = args.steps or (60 if args.quick else 2000)
    args.seeds = args.seeds or (2 if args.quick else 5)
    try:
        digits = load_small_digits(args.seed) if args.data_dir is None else load_mnist(args.data_dir)
    except DataError as error:
        parser.error(str(error))
    args.out = parser.place(args.out)
    return args, digits


def main() -> None:
    args, digits = parse()
    train_set = jnp.asarray(digits.train_images), jnp.asarray(digits.train_labels)
    test_set = jnp.asarray(digits.test_images), jnp.asarray(digits.test_labels)
    task = Task(*train_set, l2=jnp.float32(args.l2))
    sizes = (digits.train_images.shape[1], *HIDDEN, CLASSES)
    network = "MLP " + "-".join(map(str, sizes))
    print(f"{network}, {len(test_set[1])} test and {len(train_set[1])} training images, {args.seeds} seeds")

    keys = jax.random.split(jax.random.key(args.seed), args.seeds)
    starts = start(INITIALIZERS[args.init], sizes, keys)
    runs, losses, seconds = train_all(starts, keys, args.steps, task, args.batch_size)

    print(f"{'Optimizer':<10} {'Training loss':>13} {'Test accuracy':>16} {'Steps/s alone':>14}")
    for name in OPTIMIZERS:
        run = runs[name]
        loss, _ = score(run.params, *train_set)
        _, accuracy = score(run.params, *test_set)
        print_row(name, loss, accuracy, speed(name, starts[name], keys, task, args.batch_size))
    print(
        "Training loss: cross-entropy, mean over all training images. Test accuracy: mean ± deviation over seeds.\n"
        f"Steps/s alone: this optimizer in a program of its own; each step trains {args.seeds} seeds.\n"
        f"All {len(runs)} optimizers in one program: {args.steps / seconds:,.0f} steps/s, "
        f"{args.steps} steps in {seconds:.1f} s."
    )
    save(draw(losses, f"{network} on handwritten digits"), args.out)


if __name__ == "__main__":
    main()
