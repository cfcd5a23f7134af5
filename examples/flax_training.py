"""The same training in both of Flax's APIs, linen's `TrainState` and `nnx.Optimizer`.

A small convolutional network learns the digits. The optimizer is one gradtx value for both: clipping, AdamW under a
warm-up and a cosine, and `gradtx.monitor` around it, which keeps the gradient's norm and the learning rate in the
optimizer's state. From the same weights and on the same batches, both runs take the same steps up to rounding.
"""

import math
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import linen, nnx
from flax.training.train_state import TrainState
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

import gradtx
from _arguments import DigitsParser, Split, check
from _digits import CLASSES
from _figures import COLORS, INK, save, use_style, whole
from _training import batch, cross_entropy
from gradtx import GradientTransformation

BATCH, CHANNELS = 64, (16, 32)
GALLERY = 5, 4  # columns and rows of images


class Linen(linen.Module):
    @linen.compact
    def __call__(self, x: Array) -> Array:
        for i, channels in enumerate(CHANNELS):
            x = jax.nn.relu(linen.Conv(channels, (3, 3), name=f"conv{i}")(x))
            x = linen.max_pool(x, (2, 2), (2, 2))
        return linen.Dense(CLASSES, name="dense")(x.reshape(len(x), -1))


class Nnx(nnx.Module):
    def __init__(self, side: int, rngs: nnx.Rngs) -> None:
        self.conv0 = nnx.Conv(1, CHANNELS[0], (3, 3), rngs=rngs)
        self.conv1 = nnx.Conv(*CHANNELS, (3, 3), rngs=rngs)
        self.dense = nnx.Linear((side // 4) ** 2 * CHANNELS[1], CLASSES, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        for conv in (self.conv0, self.conv1):
            x = nnx.max_pool(jax.nn.relu(conv(x)), (2, 2), (2, 2))
        return self.dense(x.reshape(len(x), -1))


class Record(NamedTuple):
    """What a run leaves behind."""

    losses: NDArray[np.float32]  # (steps,)
    watched: dict[str, NDArray[np.float32]]  # by the monitor, (steps,) each
    logits: NDArray[np.float32]  # (test images, classes)


def optimizer(steps: int) -> GradientTransformation:
    learning_rate = gradtx.warmup_cosine_decay_schedule(0.0, 0.005, steps // 10, steps)
    # A kernel's path ends in "kernel" in linen, and in "kernel/value" in nnx.
    adamw = gradtx.adamw(learning_rate, weight_decay=gradtx.decoupled(0.1, mask="**/kernel/**"))
    return gradtx.monitor(gradtx.chain(gradtx.clip_by_global_norm(1.0), adamw))


def record(losses: list[Array], watched: list[dict[str, Array]], logits: Array) -> Record:
    columns = {name: np.array([float(now[name]) for now in watched]) for name in watched[0]}
    return Record(np.array(losses, np.float32), columns, np.asarray(logits))


def train_linen(tx: GradientTransformation, params: Any, data: Split, test: Array, steps: int, key: Array) -> Record:
    # gallery: linen
    state = TrainState.create(apply_fn=Linen().apply, params=params, tx=cast(Any, tx))

    @jax.jit
    def step(state: TrainState) -> tuple[TrainState, Array]:
        images, labels = batch(data, jax.random.fold_in(key, state.step), BATCH)
        loss = lambda params: cross_entropy(state.apply_fn({"params": params}, images), labels)
        value, grads = jax.value_and_grad(loss)(state.params)
        return state.apply_gradients(grads=grads), value

    # gallery: end
    losses: list[Array] = []
    watched: list[dict[str, Array]] = []
    for _ in tqdm(range(steps), desc="Training with linen", unit="step"):
        state, loss = step(state)
        losses.append(loss)
        watched.append(state.opt_state.measurements)
    return record(losses, watched, state.apply_fn({"params": state.params}, test))


def train_nnx(tx: GradientTransformation, params: Any, data: Split, test: Array, steps: int, key: Array) -> Record:
    model = nnx.eval_shape(lambda: Nnx(test.shape[1], nnx.Rngs(0)))  # without drawing weights
    weights = nnx.state(model, nnx.Param)
    nnx.replace_by_pure_dict(weights, params)
    nnx.update(model, weights)
    # gallery: nnx
    opt = nnx.Optimizer(model, cast(Any, tx), wrt=nnx.Param)

    @nnx.jit
    def step(model: Nnx, opt: Any) -> Array:
        images, labels = batch(data, jax.random.fold_in(key, opt.step[...]), BATCH)
        value, grads = nnx.value_and_grad(lambda model: cross_entropy(model(images), labels))(model)
        opt.update(model, grads)
        return value

    # gallery: end
    losses: list[Array] = []
    watched: list[dict[str, Array]] = []
    for _ in tqdm(range(steps), desc="Training with nnx", unit="step"):
        losses.append(step(model, opt))
        watched.append({name: x[...] for name, x in opt.opt_state.measurements.items()})
    return record(losses, watched, model(test))


def as_squares(images: NDArray[np.float32]) -> Array:
    side = math.isqrt(images.shape[1])
    return jnp.asarray(images).reshape(-1, side, side, 1)


def print_table(records: dict[str, Record], labels: NDArray[np.int32]) -> None:
    print(f"{'':<6} {'Loss at the end':>15} {'Largest gradient norm':>22} {'Test accuracy':>14}")
    for name, run in records.items():
        loss, norm = run.losses[-20:].mean(), run.watched["gradient_norm"].max()
        print(f"{name:<6} {loss:>15.4f} {norm:>22.2f} {100 * right(run, labels):>12.1f} %")


def right(run: Record, labels: NDArray[np.int32]) -> float:
    return float(np.mean(run.logits.argmax(axis=1) == labels))


def check_claims(records: dict[str, Record], labels: NDArray[np.int32], bound: float) -> None:
    ours, theirs = records.values()
    for name, run in records.items():
        check(
            right(run, labels) >= bound,
            f"{name}: {100 * right(run, labels):.1f} % of the test images, {100 * bound:.0f} % or more",
        )
    apart = float(np.max(np.abs(ours.losses - theirs.losses)[:20]))
    check(apart < 1e-3, f"over the first 20 steps the losses of linen and nnx differ by {apart:.0e}")


def draw_losses(axes: Axes, records: dict[str, Record]) -> None:
    looks = {"linen": (COLORS["Nesterov"], "-", 4.0), "nnx": (INK, "--", 1.2)}
    for name, run in records.items():
        color, dash, width = looks[name]
        parts = np.array_split(np.arange(len(run.losses)), min(len(run.losses), 60))
        middles, means = [part.mean() + 1 for part in parts], [run.losses[part].mean() for part in parts]
        axes.plot(middles, means, color=color, linestyle=dash, linewidth=width, label=name)
    axes.set(yscale="log", xlabel="Step", ylabel="Training loss (cross-entropy)", title="The same run twice")
    axes.legend()
    axes.grid(True)


def draw_watched(above: Axes, below: Axes, run: Record) -> None:
    norms, rates = run.watched["gradient_norm"], run.watched["learning_rate"]
    above.plot(norms, color=COLORS["AdaGrad"], linewidth=0.9)
    above.axhline(1, color=INK, linewidth=0.9, linestyle=":")
    above.annotate(
        "clipped to 1", (len(norms), 1), (0, 4), textcoords="offset points", ha="right", fontsize=10
    ).set_bbox({"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1})
    above.set(yscale="log", ylabel="Gradient norm", title="What the monitor saw")
    below.plot(rates, color=COLORS["Adam"])
    below.set(xlabel="Step", ylabel="Learning rate", ylim=(0, None))
    for axes in (above, below):
        axes.grid(True)


def draw_hardest(panels: Any, run: Record, images: Array, labels: NDArray[np.int32]) -> None:
    """The test images with the least probability of the right label."""
    chance = np.asarray(jax.nn.softmax(run.logits))[np.arange(len(labels)), labels]
    for axes, i in zip(panels.flat, np.argsort(chance), strict=False):
        guess = run.logits[i].argmax()
        axes.imshow(images[i, :, :, 0], cmap="Greys")
        wrong = guess != labels[i]
        color, text = (COLORS["Adam"], f"{labels[i]}, not {guess}") if wrong else (INK, f"{labels[i]}")
        axes.set_title(text, fontsize=10, color=color, pad=2, loc="center", weight="bold" if wrong else "normal")
        axes.set(xticks=(), yticks=())
        axes.spines[:].set_visible(False)


def draw(records: dict[str, Record], images: Array, labels: NDArray[np.int32]) -> Figure:
    use_style()
    figure = plt.figure(figsize=(14, 4.6), layout="constrained")
    left, middle, right_side = cast(Any, figure.subfigures(1, 3, width_ratios=(1.2, 1.1, 1)))
    run = records["linen"]
    draw_losses(left.subplots(), records)
    above, below = middle.subplots(2, 1, sharex=True)
    draw_watched(above, below, run)
    right_side.suptitle("The hardest test images", fontsize=12, weight="bold")
    draw_hardest(right_side.subplots(*GALLERY[::-1]), run, images, labels)
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="flax_training.png")
    parser.add_argument("--steps", type=whole(20), help="steps of each run (default: 600, with --quick: 120)")
    args = parser.parse_args()
    digits = parser.load(args.data_dir, args.seed)
    args.out = parser.place(args.out)
    data = Split(as_squares(digits.train_images), jnp.asarray(digits.train_labels))
    test, labels = as_squares(digits.test_images), digits.test_labels
    steps = args.steps or (120 if args.quick else 600)
    tx = optimizer(steps)
    draws, batches = jax.random.split(jax.random.key(args.seed))
    params = jax.jit(Linen().init)(draws, test[:1])["params"]
    print(gradtx.describe(tx, params))
    given = tx, params, data, test, steps, batches
    records = {"linen": train_linen(*given), "nnx": train_nnx(*given)}
    print_table(records, labels)
    check_claims(records, labels, bound=0.85 if args.quick else 0.96)
    save(draw(records, test, labels), args.out)


if __name__ == "__main__":
    main()
