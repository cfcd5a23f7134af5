"""A network that has seen few images learns them by heart. Four ways to make it do better on others.

A hundred digits, three hidden layers: without help the loss on the training images falls to nothing, and the loss on
others rises. L2 adds a penalty to the loss, decoupled decay shrinks the weights beside it, dropout silences units at
random (which helps on most draws of the images, not on all), and an ensemble averages the probabilities of networks
that started from different weights. A strength of decay is a hyperparameter of the optimizer, so all strengths and
seeds are members of one program. The strength to report is chosen on validation images.
"""

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
from _arguments import DigitsParser, Split, Splits, check, split
from _digits import CLASSES
from _figures import COLORS, save, use_style, whole
from _training import Run, batch, cross_entropy, head, start, take_steps, with_bar
from gradtx import GradientTransformation

LAYERS, UNITS, BATCH = 3, 100, 50
RATE = 0.002
MOST = 500  # images to validate and to test with
PLAIN = "nothing"
LOOKS: dict[str, tuple[str, str]] = {
    PLAIN: (COLORS["SGD"], "-"),
    "L2": (COLORS["RMSProp"], "--"),
    "decoupled": (COLORS["Momentum"], "-."),
    "dropout": (COLORS["AdaGrad"], ":"),
    "ensemble": (COLORS["Adam"], "-"),
}
AXES = {"L2": "Strength", "decoupled": "Strength", "dropout": "Share of units silenced"}


class Network(linen.Module):
    """Dense layers and ReLU, each with dropout."""

    rate: float = 0.0

    @linen.compact
    def __call__(self, x: Array, train: bool = False) -> Array:
        for _ in range(LAYERS):
            x = jax.nn.relu(linen.Dense(UNITS, kernel_init=jax.nn.initializers.he_normal())(x))
            x = linen.Dropout(self.rate, deterministic=not train)(x)
        return linen.Dense(CLASSES)(x)


class Way(NamedTuple):
    """One way to regularise, at some strengths."""

    name: str
    strengths: tuple[float, ...]
    network: Network
    optimizers: GradientTransformation  # stacked: the strengths, each once per seed


class Result(NamedTuple):
    """The log-probabilities of every seed's network at some steps, on the three parts of the data."""

    train: NDArray[np.float32]  # (seeds, images, classes, times)
    validation: NDArray[np.float32]
    test: NDArray[np.float32]


Key = tuple[str, float]  # a way and its strength


def ways_to_regularise(seeds: int, quick: bool) -> list[Way]:
    l2, decay = (0.0, 0.0003, 0.001, 0.003), (0.1, 0.3, 1.0)
    rates = (0.35,) if quick else (0.2, 0.35, 0.5)  # each a network of its own to compile
    each = lambda strengths: jnp.repeat(jnp.array(strengths), seeds)
    # gallery: every way at every strength and for every seed: stacked optimizers, and networks with dropout
    coupled = lambda s: gradtx.adam(RATE, weight_decay=gradtx.coupled(s, mask="**/kernel"))
    decoupled = lambda s: gradtx.adam(RATE, weight_decay=gradtx.decoupled(s, mask="**/kernel"))
    plain = jax.vmap(gradtx.adam)(each([RATE]))
    return [
        Way("L2", l2, Network(), jax.vmap(coupled)(each(l2))),
        Way("decoupled", decay, Network(), jax.vmap(decoupled)(each(decay))),
        *(Way("dropout", (rate,), Network(rate), plain) for rate in rates),
    ]
    # gallery: end


def train_all(ways: list[Way], data: Splits, steps: int, seeds: int, key: Array) -> dict[Key, Result]:
    """Train all members in one program, and look at their predictions now and then."""

    def advance(network: Network, tx: GradientTransformation, run: Run, keys: Array) -> tuple[Run, Result]:
        def loss(params: Any, key: Array) -> Array:
            rows, drop = jax.random.split(key)
            images, labels = batch(data.train, rows, BATCH)
            logits = network.apply({"params": params}, images, train=True, rngs={"dropout": drop})
            return cross_entropy(cast(Array, logits), labels)

        def guess(part: Split) -> Any:
            return jax.nn.log_softmax(cast(Array, network.apply({"params": run.params}, part.images)))[..., None]

        run, _ = take_steps(tx, loss, run, keys)
        return run, Result(*map(guess, data))

    @jax.jit
    def advance_all(runs: list[Run], keys: Array) -> tuple[list[Run], list[Result]]:
        members = lambda way: jax.vmap(partial(advance, way.network), (0, 0, 1))
        columns = lambda way: jnp.tile(keys, len(way.strengths))
        done = [members(way)(way.optimizers, run, columns(way)) for way, run in zip(ways, runs, strict=True)]
        return [run for run, _ in done], [result for _, result in done]

    draw_weights = jax.jit(Network().init)  # the same for all ways
    drawn = [draw_weights(seed, data.train.images[:1])["params"] for seed in jax.random.split(key, seeds)]
    begin = jax.jit(lambda tx, params: jax.vmap(start)(tx, jax.tree.map(lambda *w: jnp.stack(w), *params)))
    runs = [begin(way.optimizers, drawn * len(way.strengths)) for way in ways]
    _, results = with_bar(advance_all, runs, jax.random.split(key, (steps, seeds)))
    found: dict[Key, Result] = {}
    for way, result in zip(ways, results, strict=True):
        for i, strength in enumerate(way.strengths):
            found[way.name, strength] = jax.tree.map(lambda x, i=i: x[i * seeds : (i + 1) * seeds], result)
    return found


class Curve(NamedTuple):
    """Loss and accuracy at some times: the mean over the seeds, and of the ensemble of their networks."""

    loss: NDArray[np.float32]
    accuracy: NDArray[np.float32]
    ensemble_loss: NDArray[np.float32]
    ensemble_accuracy: NDArray[np.float32]


def judge(logs: NDArray[np.float32], labels: NDArray[np.int32]) -> Curve:
    """From log-probabilities (seeds, images, classes, times)."""
    together = np.log(np.mean(np.exp(logs), axis=0, keepdims=True))
    right = labels[None, :, None]
    loss = lambda logs: -np.mean(np.take_along_axis(logs, right[..., None], axis=2), axis=(0, 1, 2))
    share = lambda logs: np.mean(np.argmax(logs, axis=2) == right, axis=(0, 1))
    return Curve(loss(logs), share(logs), loss(together), share(together))


def choose(validation: dict[Key, Curve]) -> dict[str, Key]:
    """The strength of every way with the lowest loss on validation images; strength 0 is no way at all."""
    best = lambda way: min((k for k in validation if k[0] == way and k[1]), key=lambda k: validation[k].loss[-1])
    return {PLAIN: ("L2", 0.0)} | {way: best(way) for way in AXES}


def print_table(chosen: dict[str, Key], train: dict[Key, Curve], test: dict[Key, Curve], seeds: int) -> None:
    together = f"Ensemble of {seeds}: loss"
    print(f"{'':<15} {'Train loss':>10} {'Test loss':>10} {'accuracy':>9}   {together:>20} {'accuracy':>9}")
    for name, key in chosen.items():
        label = name if name == PLAIN else f"{name}, {key[1]:g}"
        row = test[key]
        single = f"{train[key].loss[-1]:>10.2g} {row.loss[-1]:>10.3f} {100 * row.accuracy[-1]:>7.1f} %"
        print(f"{label:<15} {single}   {row.ensemble_loss[-1]:>20.3f} {100 * row.ensemble_accuracy[-1]:>7.1f} %")
    print("Losses and accuracies are means over the seeds; strengths were chosen on validation images.")


def check_claims(chosen: dict[str, Key], train: dict[Key, Curve], test: dict[Key, Curve]) -> None:
    plain = test[chosen[PLAIN]]
    learnt = float(train[chosen[PLAIN]].accuracy[-1])
    check(learnt > 0.99, f"without help the network learns {100 * learnt:.0f} % of its few images by heart")
    alone, together = float(plain.loss[-1]), float(plain.ensemble_loss[-1])
    for name in ("L2", "decoupled"):
        loss = float(test[chosen[name]].loss[-1])
        check(loss < alone, f"{name} lowers the test loss from {alone:.3f} to {loss:.3f}")
    check(together < alone, f"an ensemble lowers it to {together:.3f}")
    before, after = float(plain.accuracy[-1]), float(plain.ensemble_accuracy[-1])
    check(after >= before, f"and raises the accuracy from {100 * before:.1f} to {100 * after:.1f} %")


def draw_course(
    axes: Axes, chosen: dict[str, Key], train: dict[Key, Curve], test: dict[Key, Curve], times: NDArray[Any]
) -> None:
    for name, key in chosen.items():
        color, dash = LOOKS[name]
        axes.plot(times, test[key].loss, color=color, linestyle=dash, label=name)
    axes.plot(times, test[chosen[PLAIN]].ensemble_loss, color=LOOKS["ensemble"][0], label="ensemble")
    axes.plot(times, train[chosen[PLAIN]].loss, color=LOOKS[PLAIN][0], linewidth=0.9, alpha=0.6)
    axes.annotate(
        "nothing, on its own images", (times[3], train[chosen[PLAIN]].loss[3]), (6, 6), textcoords="offset points"
    )
    axes.set(xlim=(0, times[-1]), ylim=(0, 1.1), xlabel="Step", ylabel="Test loss (cross-entropy)")
    axes.set_title("Few images: the loss on others")
    axes.grid(True)
    axes.legend(loc="upper right", ncols=2, fontsize=10)


def draw_strengths(axes: Axes, name: str, test: dict[Key, Curve], chosen: dict[str, Key]) -> None:
    strengths = sorted(strength for way, strength in test if way == name and strength)
    losses = [test[name, strength].loss[-1] for strength in strengths]
    color, dash = LOOKS[name]
    axes.plot(losses, color=color, linestyle=dash, marker="o", markersize=5)
    best = strengths.index(chosen[name][1])
    axes.plot(best, losses[best], marker="o", markersize=12, color=color, fillstyle="none")
    for way, loss in references(test[chosen[PLAIN]]).items():
        axes.axhline(loss, color=LOOKS[way][0], linewidth=1.2)
    axes.set_xticks(range(len(strengths)), [f"{strength:g}" for strength in strengths])
    axes.set(title=name, xlabel=AXES[name], xlim=(-0.4, len(strengths) - 0.6))
    axes.grid(True)


def references(plain: Curve) -> dict[str, float]:
    """The test losses to compare with."""
    return {PLAIN: float(plain.loss[-1]), "ensemble": float(plain.ensemble_loss[-1])}


def draw(chosen: dict[str, Key], train: dict[Key, Curve], test: dict[Key, Curve], steps: int) -> Figure:
    use_style()
    figure, (course, *panels) = plt.subplots(1, 4, figsize=(14, 4.4), layout="constrained", width_ratios=(2.2, 1, 1, 1))
    count = len(test[chosen[PLAIN]].loss)
    draw_course(course, chosen, train, test, np.arange(1, count + 1) * steps / count)
    for axes in panels[1:]:
        axes.sharey(panels[0])
    for axes, name in zip(panels, AXES, strict=True):
        draw_strengths(axes, name, test, chosen)
        axes.tick_params(labelleft=axes is panels[0])
    panels[0].set_ylabel("Test loss at the end (ring: chosen)")
    for name, loss in references(test[chosen[PLAIN]]).items():
        panels[-1].annotate(name, (1.03, loss), xycoords=("axes fraction", "data"), va="center")
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="regularisation.png")
    parser.add_argument("--images", type=whole(20), default=100, help="images to learn from (default: %(default)s)")
    parser.add_argument("--seeds", type=whole(2), help="networks of each kind (default: 5, with --quick: 3)")
    parser.add_argument("--steps", type=whole(1), help="steps of each run (default: 600, with --quick: 300)")
    args = parser.parse_args()
    digits = parser.load(args.data_dir, args.seed)
    known = len(digits.train_labels)
    if args.images > known - MOST:
        parser.error(f"argument --images: wanted at most {known - MOST}, got {args.images}")
    args.out = parser.place(args.out)
    seeds, steps = args.seeds or (3 if args.quick else 5), args.steps or (300 if args.quick else 600)

    few, *others = split(digits, args.seed, share=1 - args.images / known)
    data = Splits(few, *(head(part, MOST) for part in others))
    results = train_all(ways_to_regularise(seeds, args.quick), data, steps, seeds, jax.random.key(args.seed))
    train, validation, test = (
        {key: judge(result[i], np.asarray(data[i].labels)) for key, result in results.items()} for i in range(3)
    )
    chosen = choose(validation)
    print_table(chosen, train, test, seeds)
    check_claims(chosen, train, test)
    save(draw(chosen, train, test, steps), args.out)


if __name__ == "__main__":
    main()
