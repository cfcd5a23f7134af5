"""How the weights start decides whether a deep network can learn.

A network of five hidden layers sees the digits once, before any training. Weights drawn too wide saturate sigmoid and
tanh, and explode through ReLU; drawn too narrow, they make all images look alike. Xavier's deviation,
sqrt(1 / fan-in), keeps tanh alive; He's, sqrt(2 / fan-in), makes up for the half of its inputs that ReLU silences.
Then every network is trained by the same optimizer: the four starts are four members of one `jax.vmap`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import linen
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import gradtx
from _arguments import DigitsParser, Split, check
from _digits import CLASSES, Digits
from _figures import COLORS, MUTED, save, use_style, whole
from _training import accuracy, batch, cross_entropy, head, start, take_steps, with_bar

LAYERS, UNITS, BATCH = 5, 100, 64
SEEN = 2000  # images to look into the networks with
OPTIMIZER = gradtx.adam(0.001)
DEVIATIONS: dict[str, Callable[[int], float]] = {
    "std 1": lambda fan_in: 1.0,
    "std 0.01": lambda fan_in: 0.01,
    "Xavier": lambda fan_in: fan_in**-0.5,
    "He": lambda fan_in: (2 / fan_in) ** 0.5,
}
STARTS = list(DEVIATIONS)
LOOKS: dict[str, dict[str, Any]] = {
    "std 1": {"color": COLORS["AdamW"], "linestyle": (0, (1, 1))},
    "std 0.01": {"color": COLORS["SGD"], "linestyle": (0, (4, 1.5))},
    "Xavier": {"color": COLORS["Momentum"]},
    "He": {"color": COLORS["RMSProp"]},
}


class Activation(NamedTuple):
    """A function between the layers, and the range its histograms are drawn over."""

    function: Callable[[Array], Array]
    low: float
    high: float


ACTIVATIONS = {
    "sigmoid": Activation(jax.nn.sigmoid, 0, 1),
    "tanh": Activation(jnp.tanh, -1, 1),
    "ReLU": Activation(jax.nn.relu, 0, 4),
}


class Network(linen.Module):
    """Dense layers of one width and the logits; "hidden" among the intermediates is what the layers put out."""

    activation: Callable[[Array], Array]

    @linen.compact
    def __call__(self, x: Array) -> Array:
        dense = partial(linen.Dense, kernel_init=jax.nn.initializers.normal(1.0))
        for _ in range(LAYERS):
            x = self.activation(dense(UNITS)(x))
            self.sow("intermediates", "hidden", x)
        return dense(CLASSES)(x)


class Study(NamedTuple):
    """What became of the four starts with one activation."""

    hidden: list[NDArray[np.float32]]  # one per layer, (starts, images, units), before training
    losses: NDArray[np.float32]  # (starts, steps)
    accuracy: NDArray[np.float32]  # (starts,), on the images above


@jax.jit
def draw_weights(images: Array, key: Array) -> Any:
    """The four starts, stacked: one draw of the weights, whatever the activation, times each deviation."""
    drawn = Network(jnp.tanh).init(key, images[:1])["params"]
    scaled = lambda deviation: jax.tree.map(lambda w: w * deviation(len(w)) if w.ndim == 2 else w, drawn)
    return jax.tree.map(lambda *w: jnp.stack(w), *map(scaled, DEVIATIONS.values()))


def study(network: Network, data: Split, steps: int, key: Array) -> Study:
    """Look into the four networks, then train them."""
    some = head(data, SEEN)

    def loss(params: Any, key: Array) -> Array:
        images, labels = batch(data, key, BATCH)
        return cross_entropy(cast(Array, network.apply({"params": params}, images)), labels)

    @jax.jit
    @jax.vmap
    def look(params: Any) -> tuple[list[Array], Array]:
        logits, seen = cast(Any, network.apply({"params": params}, some.images, mutable="intermediates"))
        return seen["intermediates"]["hidden"], accuracy(logits, some.labels)

    # gallery: the four starts, each with its own optimizer state, trained in one program
    params = draw_weights(data.images[:1], key)
    runs = jax.jit(jax.vmap(partial(start, OPTIMIZER)))(params)
    train = jax.jit(jax.vmap(partial(take_steps, OPTIMIZER, loss), in_axes=(0, None)))
    runs, losses = with_bar(train, runs, jax.random.split(key, steps))
    # gallery: end
    hidden, scores = look(params)[0], look(runs.params)[1]
    return Study([np.asarray(layer) for layer in hidden], losses, np.asarray(scores))


def standardised(digits: Digits) -> Split:
    """The training images with mean 0 and deviation 1, as the two rules assume."""
    images = (digits.train_images - digits.train_images.mean()) / digits.train_images.std()
    return Split(jnp.asarray(images), jnp.asarray(digits.train_labels))


def spread(layer: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far a unit's output differs between images: its deviation, the root mean square over units; (starts,)."""
    return np.sqrt(np.mean(np.var(layer, axis=1), axis=1))


def end(losses: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean loss over the last tenth of the steps, (starts,)."""
    return losses[:, -max(1, losses.shape[1] // 10) :].mean(axis=1)


def print_table(studies: dict[str, Study]) -> None:
    print(f"{'Activation':<10} {'Start':<8} {'Spread, first':>13} {'last layer':>10} {'Loss':>9} {'Accuracy':>9}")
    for name, (hidden, losses, score) in studies.items():
        columns = zip(STARTS, spread(hidden[0]), spread(hidden[-1]), end(losses), score, strict=True)
        for label, first, last, loss, share in columns:
            print(f"{name:<10} {label:<8} {first:>13.3g} {last:>10.2g} {loss:>9.2g} {100 * share:>7.1f} %")
    print("Spread: deviation of a unit's output between images, before training. Loss, accuracy: after training.")


def check_claims(studies: dict[str, Study]) -> None:
    wide, narrow, xavier, he = range(4)
    sigmoid, tanh, relu = studies.values()
    edges = np.mean(np.abs(sigmoid.hidden[-1][wide] - 0.5) > 0.4)
    check(edges > 0.5, f"sigmoid, std 1: most outputs, {100 * edges:.0f} %, lie within 0.1 of 0 or 1")
    alike = max(float(spread(x.hidden[-1])[narrow]) for x in studies.values())
    check(alike < 1e-3, f"std 0.01: no activation's last layer tells images apart, spread {alike:.1g}")
    kept = lambda x, i: float(spread(x.hidden[-1])[i] / spread(x.hidden[0])[i])
    tanh_xavier, relu_xavier, relu_he = kept(tanh, xavier), kept(relu, xavier), kept(relu, he)
    check(tanh_xavier > 0.3, f"tanh: under Xavier the last layer keeps {tanh_xavier:.2f} of the first's spread")
    check(relu_he > 2 * relu_xavier, f"ReLU: under He it keeps {relu_he:.2f}, under Xavier only {relu_xavier:.2f}")
    # Of the whole training: an exploded network that fits every image by a wide margin ends at a loss of 0.
    mean = relu.losses.mean(axis=1)
    best, rest = mean[he], np.min(mean[[wide, narrow]])
    check(
        best < rest / 2, f"ReLU: He's loss is {best:.2g} over the training, std 1's and std 0.01's at least {rest:.2g}"
    )


def draw_histograms(axes: Axes, activation: Activation, hidden: list[NDArray[np.float32]]) -> None:
    """One ridge per layer, the first at the back; a height is the root of a bin's share."""
    edges = np.linspace(activation.low, activation.high, 51)
    colors = plt.get_cmap("viridis")(np.linspace(0.1, 0.85, len(hidden)))
    for depth, (layer, color) in enumerate(zip(hidden, colors, strict=True)):
        inside = np.clip(layer, activation.low, activation.high)
        heights = np.sqrt(np.histogram(inside, edges)[0] / inside.size)
        base = len(hidden) - 1 - depth
        axes.stairs(base + 1.6 * heights, edges, baseline=base, fill=True, color=color, alpha=0.85, zorder=depth)
        axes.stairs(base + 1.6 * heights, edges, baseline=base, color="white", linewidth=0.8, zorder=depth)
    axes.set(xlim=(activation.low, activation.high), ylim=(-0.05, len(hidden) + 0.7))
    axes.set_yticks(range(len(hidden)), [f"layer {len(hidden) - base}" for base in range(len(hidden))])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def draw_losses(axes: Axes, losses: NDArray[np.float32]) -> None:
    parts = np.array_split(np.arange(losses.shape[1]), min(losses.shape[1], 40))
    middles = [part.mean() + 1 for part in parts]
    for label, loss in zip(STARTS, losses, strict=True):
        axes.plot(middles, [loss[part].mean() for part in parts], label=label, **LOOKS[label])
    axes.axhline(np.log(CLASSES), color=MUTED, linewidth=0.8, zorder=0)
    axes.set(yscale="log", ylim=(1e-3, max(30, losses.max())), xlim=(0, losses.shape[1]), ylabel="Training loss")
    axes.grid(True)


def draw(studies: dict[str, Study]) -> Figure:
    use_style()
    figure, grid = plt.subplots(3, 5, figsize=(14, 7.8), layout="constrained", width_ratios=(1, 1, 1, 1, 1.25))
    for row, (name, outcome) in zip(grid, studies.items(), strict=True):
        for i, axes in enumerate(row[:-1]):
            draw_histograms(axes, ACTIVATIONS[name], [layer[i] for layer in outcome.hidden])
            axes.tick_params(labelleft=i == 0)
        row[0].set_ylabel(name, fontsize=13, weight="bold")
        draw_losses(row[-1], outcome.losses)
    for axes, title in zip(grid[0], [*STARTS, "Then training"], strict=True):
        axes.set_title(title)
    for axes in grid[-1, :-1]:
        axes.set_xlabel("Output of a unit")
    grid[-1, -1].set_xlabel("Step")
    note = "Ridges: the outputs of a layer's units for all images, before training; height: root of their share."
    figure.supxlabel(note + " Grey line: the loss of a guess.", fontsize=10.5)
    grid[0, -1].legend(loc="lower left", fontsize=10, ncols=2, handlelength=1.6, columnspacing=1)
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="initialisation.png")
    parser.add_argument("--steps", type=whole(10), help="steps of training (default: 1000, with --quick: 100)")
    args = parser.parse_args()
    data = standardised(parser.load(args.data_dir, args.seed))
    args.out = parser.place(args.out)
    steps, key = args.steps or (100 if args.quick else 1000), jax.random.key(args.seed)
    studies = {name: study(Network(a.function), data, steps, key) for name, a in ACTIVATIONS.items()}
    print_table(studies)
    check_claims(studies)
    save(draw(studies), args.out)


if __name__ == "__main__":
    main()
