"""Equinox models under one compiled step, whatever the optimizer's numbers.

An Equinox network learns the digits under `eqx.filter_jit`. The optimizer is an argument of the step, and its numbers
are arrays, so the learning rate can be changed by hand in the middle of the run, without a schedule and without
another compilation. Then `eqx.filter_vmap` trains one model per learning rate, with one stacked optimizer.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

import gradtx
from _arguments import DigitsParser, Split, Splits, check, split
from _digits import CLASSES
from _figures import COLORS, INK, MUTED, save, use_style, whole
from _training import accuracy, batch, cross_entropy
from gradtx import GradientTransformation

BATCH, WIDTH, DEPTH = 64, 64, 2
BY_HAND = (0.01, 0.001, 0.0001)  # learning rates, one after the other

traces: list[GradientTransformation] = []  # grows when `step` is compiled


def loss_on(model: eqx.nn.MLP, part: Split) -> Array:
    return cross_entropy(jax.vmap(model)(part.images), part.labels)


# gallery: one step, for every optimizer and every model of these types
@eqx.filter_jit
def step(
    tx: GradientTransformation, model: eqx.nn.MLP, state: Any, data: Split, key: Array
) -> tuple[eqx.nn.MLP, Any, Array]:
    traces.append(tx)
    loss, grads = eqx.filter_value_and_grad(loss_on)(model, batch(data, key, BATCH))
    updates, state = tx.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
    return eqx.apply_updates(model, updates), state, loss


# gallery: end


class Outcome(NamedTuple):
    """What became of one model, or of some."""

    losses: NDArray[np.float32]  # ([models,] steps)
    accuracy: NDArray[np.float32]  # on the test images


def make(pixels: int, key: Array) -> eqx.nn.MLP:
    return eqx.filter_jit(eqx.nn.MLP)(pixels, CLASSES, WIDTH, DEPTH, key=key)


def begin(tx: GradientTransformation, model: eqx.nn.MLP) -> Any:
    return tx.init(eqx.filter(model, eqx.is_inexact_array))


def score(model: eqx.nn.MLP, part: Split) -> Array:
    return accuracy(jax.vmap(model)(part.images), part.labels)


def train_by_hand(data: Splits, steps: int, key: Array) -> Outcome:
    """One model; another learning rate is another value of the same optimizer."""
    model = make(data.train.images.shape[1], key)
    tx = gradtx.adam(jnp.float32(BY_HAND[0]))
    state = begin(tx, model)
    losses: list[Array] = []
    for i in tqdm(range(steps), desc="Training by hand", unit="step"):
        tx = gradtx.replace(tx, learning_rate=jnp.float32(BY_HAND[i * len(BY_HAND) // steps]))
        model, state, loss = step(tx, model, state, data.train, jax.random.fold_in(key, i))
        losses.append(loss)
    return Outcome(np.array(losses, np.float32), np.asarray(score(model, data.test)))


def train_many(data: Splits, rates: Array, steps: int, key: Array) -> Outcome:
    """One model per learning rate, all from the same weights, in one program."""
    model, optimizers = make(data.train.images.shape[1], key), eqx.filter_vmap(gradtx.adam)(rates)
    each = eqx.if_array(0)
    models = eqx.filter_vmap(lambda tx: model)(optimizers)
    states = eqx.filter_vmap(begin, in_axes=each)(optimizers, models)
    step_all = eqx.filter_jit(eqx.filter_vmap(step, in_axes=(each, each, each, None, None)))
    losses: list[Array] = []
    for i in tqdm(range(steps), desc="Training many", unit="step"):
        models, states, loss = step_all(optimizers, models, states, data.train, jax.random.fold_in(key, i))
        losses.append(loss)
    scores = eqx.filter_vmap(score, in_axes=(each, None))(models, data.test)
    return Outcome(np.stack(jax.device_get(losses), axis=-1), np.asarray(scores))


def print_table(hand: Outcome, many: Outcome, rates: Array) -> None:
    print(f"{'Learning rate':<28} {'Loss at the end':>15} {'Test accuracy':>14}")
    labels = [" then ".join(f"{rate:g}" for rate in BY_HAND), *(f"{rate:.2g}" for rate in rates)]
    losses = [end(hand.losses), *end(many.losses)]
    for label, loss, share in zip(labels, losses, [hand.accuracy, *many.accuracy], strict=True):
        print(f"{label:<28} {loss:>15.2g} {100 * share:>12.1f} %")


def end(losses: NDArray[np.float32]) -> Any:
    """The mean over the last tenth of the steps."""
    return losses[..., -max(1, losses.shape[-1] // 10) :].mean(axis=-1)


def check_claims(compilations: int, hand: Outcome, many: Outcome, bound: float) -> None:
    check(compilations == 1, f"{len(BY_HAND)} learning rates by hand, {compilations} compilation of the step")
    first = hand.losses[: len(hand.losses) // len(BY_HAND)]
    check(
        bool(end(hand.losses) < end(first)),
        f"the lower rates lower the loss, {end(first):.2g} to {end(hand.losses):.2g}",
    )
    for name, share in (("by hand", float(hand.accuracy)), ("the best of many", float(many.accuracy.max()))):
        check(share >= bound, f"{name}: {100 * share:.1f} % of the test images, {100 * bound:.0f} % or more")


def smooth(losses: NDArray[np.float32]) -> tuple[list[float], NDArray[np.float32]]:
    """The middles of some parts of the steps and the means over them; the parts are the last axis."""
    parts = np.array_split(np.arange(losses.shape[-1]), min(losses.shape[-1], 60))
    return [part.mean() + 1 for part in parts], np.stack([losses[..., part].mean(axis=-1) for part in parts], axis=-1)


def draw_by_hand(axes: Axes, losses: NDArray[np.float32]) -> None:
    axes.plot(*smooth(losses), color=INK)
    colors = (COLORS["Nesterov"], COLORS["RMSProp"], COLORS["Adam"])
    for i, (rate, color) in enumerate(zip(BY_HAND, colors, strict=True)):
        left, right = (len(losses) * j / len(BY_HAND) for j in (i, i + 1))
        axes.axvspan(left, right, color=color, alpha=0.15, linewidth=0)
        axes.annotate(
            f"$\\eta$ = {rate:g}", ((left + right) / 2, 0.93), xycoords=("data", "axes fraction"), ha="center"
        )
    axes.set(yscale="log", xlim=(0, len(losses)), xlabel="Step", ylabel="Training loss (cross-entropy)")
    axes.set_title("Changed by hand, compiled once")


def draw_many(curves: Axes, ends: Axes, many: Outcome, rates: Array) -> None:
    colors = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(rates)))
    steps, means = smooth(many.losses)
    for mean, rate, share, color in zip(means, rates, many.accuracy, colors, strict=True):
        curves.plot(steps, mean, color=color)
        ends.plot(rate, 100 * share, marker="o", markersize=8, color=color)
    curves.set(yscale="log", ylim=(None, 10), xlim=(0, many.losses.shape[-1]), xlabel="Step", ylabel="Training loss")
    curves.set_title("Many at once, in one program")
    ends.plot(rates, 100 * many.accuracy, color=MUTED, linewidth=1, zorder=0)
    ends.set(
        xscale="log", ylim=(0, 103), xlabel="Learning rate (the colours of the curves)", ylabel="Test accuracy (%)"
    )
    for axes in (curves, ends):
        axes.grid(True)


def draw(hand: Outcome, many: Outcome, rates: Array) -> Figure:
    use_style()
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
    draw_by_hand(left, hand.losses)
    draw_many(middle, right, many, rates)
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="equinox_training.png")
    parser.add_argument("--steps", type=whole(30), help="steps of each run (default: 900, with --quick: 240)")
    args = parser.parse_args()
    data = split(parser.load(args.data_dir, args.seed), args.seed)
    args.out = parser.place(args.out)
    steps, key = args.steps or (240 if args.quick else 900), jax.random.key(args.seed)
    rates = jnp.logspace(-5, 0, 6 if args.quick else 11)
    hand = train_by_hand(data, steps, key)
    compilations = len(traces)
    many = train_many(data, rates, steps, key)
    print_table(hand, many, rates)
    check_claims(compilations, hand, many, bound=0.9 if args.quick else 0.95)
    save(draw(hand, many, rates), args.out)


if __name__ == "__main__":
    main()
