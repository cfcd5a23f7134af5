"""Batch normalisation makes training care little about how wide the weights start.

Two networks of Flax nnx, one with `nnx.BatchNorm` before each ReLU and one without, start from the same weights at
many deviations, and each start is trained at many learning rates. The optimizers are one stacked value,
`jax.vmap(gradtx.sgd)(rates)`, and all members train in one program per network. Without normalisation only a narrow
band of starts learns; with it nearly all of them do.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import nnx
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

import gradtx
from _arguments import DigitsParser, Split, Splits, check, split
from _digits import CLASSES
from _figures import COLORS, MUTED, save, use_style, whole
from _training import accuracy, batch, cross_entropy, with_bar
from gradtx import GradientTransformation

LAYERS, UNITS, BATCH = 4, 100, 64
GOOD = 0.9  # the accuracy from which a start counts as learnt


class Network(nnx.Module):
    """Dense layers and ReLU, perhaps with batch normalisation in between."""

    def __init__(self, pixels: int, normalise: bool, rngs: nnx.Rngs) -> None:
        dense = partial(nnx.Linear, kernel_init=jax.nn.initializers.normal(1.0), rngs=rngs)
        self.dense = nnx.List([dense(UNITS if i else pixels, UNITS) for i in range(LAYERS)])
        self.last = dense(UNITS, CLASSES)
        self.norm = nnx.List([nnx.BatchNorm(UNITS, momentum=0.9, rngs=rngs) for _ in range(LAYERS * normalise)])

    def __call__(self, x: Array) -> Array:
        for i, dense in enumerate(self.dense):
            x = dense(x)
            x = jax.nn.relu(self.norm[i](x) if self.norm else x)
        return self.last(x)


class Run(NamedTuple):
    """What a step of training changes."""

    params: Any
    stats: Any  # the running averages of batch normalisation
    state: Any


def train(graph: Any, data: Split, tx: GradientTransformation, run: Run, keys: Array) -> tuple[Run, Array]:
    """One step per key; batch normalisation's averages go along with the parameters."""

    # gallery: a step: nnx gives the averages of batch normalisation back, beside the loss
    def loss(params: Any, stats: Any, images: Array, labels: Array) -> tuple[Array, Any]:
        network = nnx.merge(graph, params, stats, copy=True)
        return cross_entropy(network(images), labels), nnx.state(network, nnx.BatchStat)

    def step(run: Run, key: Array) -> tuple[Run, Array]:
        images, labels = batch(data, key, BATCH)
        (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(run.params, run.stats, images, labels)
        params, state = gradtx.step(tx, run.params, run.state, grads)
        return Run(params, stats, state), value

    # gallery: end
    return jax.lax.scan(step, run, keys)


def study(normalise: bool, data: Splits, rates: Array, deviations: Array, steps: int, key: Array) -> NDArray[Any]:
    """The test accuracy for every rate and deviation, (rates, deviations)."""
    network = nnx.jit(partial(Network, data.train.images.shape[1], normalise))(nnx.Rngs(key))
    graph, drawn, stats = nnx.split(network, nnx.Param, ...)

    def start(tx: GradientTransformation, deviation: Array) -> Run:
        params = jax.tree.map(lambda w: w * deviation if w.ndim == 2 else w, drawn)
        return Run(params, stats, tx.init(params))

    def score(run: Run) -> Array:
        trained = nnx.merge(graph, run.params, run.stats, copy=True)
        trained.eval()
        return accuracy(trained(data.test.images), data.test.labels)

    every_rate, every_deviation = (x.ravel() for x in jnp.meshgrid(rates, deviations, indexing="ij"))
    optimizers = jax.vmap(gradtx.sgd)(every_rate)
    members = jax.jit(jax.vmap(partial(train, graph, data.train), in_axes=(0, 0, None)))
    runs = jax.jit(jax.vmap(start))(optimizers, every_deviation)
    runs, _ = with_bar(partial(members, optimizers), runs, jax.random.split(key, steps))
    return np.asarray(jax.jit(jax.vmap(score))(runs)).reshape(len(rates), len(deviations))


def print_table(deviations: Array, scores: dict[str, NDArray[Any]]) -> None:
    print(
        f"{'Deviation':<10} {'Without':>9} {'With batch normalisation':>25}   (test accuracy at the best learning rate)"
    )
    for deviation, *best in zip(deviations, *(score.max(axis=0) for score in scores.values()), strict=True):
        print(f"{deviation:<10.2g} {100 * best[0]:>7.1f} % {100 * best[1]:>23.1f} %")


def check_claims(without: NDArray[Any], normalised: NDArray[Any]) -> None:
    share, wider = (float(np.mean(score >= GOOD)) for score in (without, normalised))
    many = f"{100 * wider:.0f} % of all starts and rates reach {100 * GOOD:.0f} %"
    check(wider >= 2 * share, f"with batch normalisation {many}, without only {100 * share:.0f} %")
    worst = float(normalised.max(axis=0).min())
    check(worst >= 0.8, f"with it every deviation has a rate that learns: the worst reaches {100 * worst:.1f} %")
    stuck = float(without[:, -1].max())
    check(stuck < 0.3, f"without it no rate helps the narrowest start: {100 * stuck:.1f} %")


def draw_map(axes: Axes, score: NDArray[Any], rates: Array, deviations: Array) -> AxesImage:
    image = axes.imshow(100 * score, cmap="cividis", vmin=10, vmax=100, aspect="auto", origin="lower")
    every = max(1, (len(deviations) - 1) // 4)
    axes.set_xticks(range(len(deviations))[::every], [f"{x:.2g}" for x in deviations[::every]])
    axes.set_yticks(range(len(rates)), [f"{x:.2g}" for x in rates])
    axes.set(xlabel="Deviation of the weights at the start", ylabel="Learning rate")
    return image


def draw_best(axes: Axes, scores: dict[str, NDArray[Any]], deviations: Array) -> None:
    for (name, score), color, dash in zip(
        scores.items(), (COLORS["Adam"], COLORS["Momentum"]), ("--", "-"), strict=True
    ):
        best = 100 * score.max(axis=0)
        axes.plot(deviations, best, color=color, linestyle=dash, marker="o", markersize=4, label=name)
    axes.axhline(10, color=MUTED, linewidth=0.8, zorder=0)
    axes.set(xscale="log", xlim=(1.2 * deviations[0], deviations[-1] / 1.2), ylim=(0, 103))
    axes.set(xlabel="Deviation of the weights at the start")
    axes.set_title("Test accuracy (%) at the best rate")
    axes.grid(True)
    axes.legend(title="Batch normalisation", loc="center right", bbox_to_anchor=(1, 0.6))


def draw(scores: dict[str, NDArray[Any]], rates: Array, deviations: Array) -> Figure:
    use_style()
    figure, (*maps, lines) = plt.subplots(1, 3, figsize=(14, 4.3), layout="constrained")
    titles = {"without": "Without batch normalisation", "with": "With batch normalisation"}
    images = [draw_map(axes, scores[name], rates, deviations) for axes, name in zip(maps, scores, strict=True)]
    for axes, name in zip(maps, scores, strict=True):
        axes.set_title(titles[name])
    figure.colorbar(images[-1], ax=maps, label="Test accuracy (%)", pad=0.02)
    draw_best(lines, scores, deviations)
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="batch_norm.png")
    parser.add_argument("--steps", type=whole(1), help="steps of each run (default: 400, with --quick: 150)")
    args = parser.parse_args()
    data = split(parser.load(args.data_dir, args.seed), args.seed)
    args.out = parser.place(args.out)
    steps, key = args.steps or (150 if args.quick else 400), jax.random.key(args.seed)
    rates = jnp.array([0.03, 0.1, 0.3]) if args.quick else jnp.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5])
    deviations = jnp.logspace(0, -4, 5 if args.quick else 13)
    kinds = {"without": False, "with": True}
    scores = {name: study(normalise, data, rates, deviations, steps, key) for name, normalise in kinds.items()}
    print_table(deviations, scores)
    check_claims(scores["without"], scores["with"])
    save(draw(scores, rates, deviations), args.out)


if __name__ == "__main__":
    main()
