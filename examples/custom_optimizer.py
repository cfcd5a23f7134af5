"""Write an optimizer of your own: chain it, sweep it, differentiate it.

Padam (Chen et al. 2018, arXiv:1806.06763; here without its running maximum) divides the average gradient by a power
of its second moment: with power 1/2 it is Adam, with power 0 it is SGD with momentum. The rule is five lines on one
array. Then everything that holds for a value holds for it: a sweep trains a grid of learning rates and powers as one
program, and the derivatives of the loss after training, by `jax.grad` through all its steps, lead downhill from
Adam's corner of the grid.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import linen
from jax import Array
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

import gradtx
from _arguments import DigitsParser, Split, check, split
from _digits import CLASSES
from _figures import COLORS, save, use_style, whole
from _training import Run, batch, cross_entropy, head, start
from gradtx import GradientTransformation
from gradtx.rules import Count, PositiveSlot, abs_sq, debias, ema

BATCH, IMAGES = 50, 400
NETWORK = linen.Sequential([linen.Dense(32), jnp.tanh, linen.Dense(CLASSES)])


# gallery: the state, the rule on one array, and the two makers
class PadamState(NamedTuple):
    count: Count  # steps taken
    mu: gradtx.Slot  # running average of g
    nu: PositiveSlot  # running average of |g|^2


def padam_rule(g: Array, s: PadamState, *, b1: Array, b2: Array, power: Array, eps: Array) -> tuple[Array, PadamState]:
    mu = ema(s.mu, g, b1)
    nu = ema(s.nu, abs_sq(g), b2)
    v = debias(nu, b2, s.count)
    v = jnp.where(v > 0, v, 1)  # where no gradient came, mu is 0 too, and so is every derivative
    return debias(mu, b1, s.count) / (v**power + eps), s._replace(mu=mu, nu=nu)


@gradtx.transformation
def scale_by_padam(
    b1: gradtx.Decay = 0.9, b2: gradtx.Decay = 0.999, power: gradtx.Fraction = 0.125, eps: gradtx.NonNegative = 1e-8
) -> Any:
    return gradtx.leafwise(padam_rule, PadamState, b1=b1, b2=b2, power=power, eps=eps)


@gradtx.transformation
def padam(learning_rate: gradtx.NonNegative, power: gradtx.Fraction = 0.125) -> Any:
    return gradtx.descend(scale_by_padam(power=power), learning_rate)


# gallery: end


def clipped_padam(learning_rate: Any, power: Any) -> GradientTransformation:
    """In a chain, like any other transformation."""
    return gradtx.chain(gradtx.clip_by_global_norm(1.0), padam(learning_rate, power))


RANGES = {"learning_rate": gradtx.log_uniform(0.001, 3.0), "power": gradtx.uniform(0.0, 0.5)}


def make(u: Array) -> GradientTransformation:
    """The optimizer at a point of the unit square, which stands for the two ranges."""
    return clipped_padam(*(at(x) for at, x in zip(RANGES.values(), u, strict=True)))


# Training: the functions of a sweep, and the loss at the end as a function of the optimizer.


class Task(NamedTuple):
    """What all runs share."""

    data: Split
    params: Any
    keys: Array  # one per step


def loss_on(part: Split, params: Any) -> Array:
    return cross_entropy(cast(Array, NETWORK.apply(params, part.images)), part.labels)


def begin(tx: GradientTransformation, task: Task) -> Run:
    return start(tx, task.params)


def step(tx: GradientTransformation, run: Run, i: Array, task: Task) -> Run:
    grads = jax.grad(partial(loss_on, batch(task.data, task.keys[i], BATCH)))(run.params)
    return Run(*gradtx.step(tx, *run, grads))


def score(run: Run, task: Task) -> Array:
    return loss_on(task.data, run.params)


@jax.jit
def after_training(tx: GradientTransformation, task: Task) -> Array:
    """The logarithm of the loss on all images after all steps; differentiable."""
    every = jnp.arange(len(task.keys))
    run, _ = jax.lax.scan(lambda run, i: (step(tx, run, i, task), None), begin(tx, task), every)
    return jnp.log(score(run, task))


slope = jax.jit(jax.value_and_grad(lambda u, task: after_training(make(u), task)))


def sweep(task: Task, side: int) -> NDArray[np.float32]:
    """The loss after training with a grid of optimizers, (powers, learning rates), trained in one program."""
    powers, rates = np.meshgrid(*2 * [np.linspace(0, 1, side)], indexing="ij")
    values = {
        name: [at(float(x)) for x in u.ravel()] for (name, at), u in zip(RANGES.items(), (rates, powers), strict=True)
    }
    steps = len(task.keys)
    with tqdm(total=side * side * steps, desc="Sweeping", unit="step") as bar:
        move = lambda done, total: bar.update(done - bar.n)
        found = gradtx.Sweep(clipped_padam, values).train(begin, step, score, steps, args=(task,), progress=move)
    print(found.table(5))
    return found.scores.reshape(side, side)


def follow(task: Task, steps: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """From Adam's corner of the square down the derivatives: the points (steps + 1, 2) and their losses."""
    guide, u = gradtx.rprop(0.03, max_step_size=0.05), jnp.array([0.0, 1.0])
    state = guide.init(u)
    points: list[Array] = []
    losses: list[Array] = []
    for _ in tqdm(range(steps + 1), desc="Following", unit="step"):
        loss, grad = slope(u, task)
        points.append(u)
        losses.append(loss)
        u, state = gradtx.step(guide, u, state, grad)
        u = jnp.clip(u, 0, 1)
    return np.array(points), np.exp(np.array(losses))


def check_claims(task: Task, grid: NDArray[np.float32], losses: NDArray[np.float32]) -> None:
    corner = jnp.array([0.3, 1.0])
    adam = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adam(make(corner).links[1].learning_rate))
    apart = abs(float(slope(corner, task)[0] - after_training(adam, task)))
    check(apart < 1e-3, f"with power 1/2 it trains as gradtx.adam does: the losses differ by {100 * apart:.1g} %")

    here, h = jnp.array([0.3, 0.6]), 0.01
    for i, (name, derivative) in enumerate(zip(RANGES, slope(here, task)[1], strict=True)):
        aside = jnp.zeros(2).at[i].set(h)
        difference = (slope(here + aside, task)[0] - slope(here - aside, task)[0]) / (2 * h)
        error = abs(float(derivative / difference) - 1)
        check(error < 0.05, f"the derivative by {name} is that of differences within {100 * error:.1g} %")
    beaten = float(np.mean(losses[-1] < grid))
    claim = f"{losses[0]:.3g} to {losses[-1]:.3g}, below {100 * beaten:.0f} % of the grid"
    check(beaten > 0.6, f"following the derivatives lowers the loss from {claim}")


def draw(grid: NDArray[np.float32], points: NDArray[np.float32]) -> Figure:
    use_style()
    figure, axes = plt.subplots(figsize=(8.5, 5), layout="constrained")
    side = len(grid)
    rates, powers = ([at(float(x)) for x in np.linspace(0, 1, side)] for at in RANGES.values())
    norm = LogNorm(max(float(np.nanmin(grid)), 1e-4), 3)
    image = axes.pcolormesh(
        rates, powers, np.where(np.isfinite(grid), grid, 1e9), norm=norm, cmap="cividis", shading="nearest"
    )
    path = np.array([[at(float(x)) for at, x in zip(RANGES.values(), u, strict=True)] for u in points]).T
    axes.plot(*path, color="white", linewidth=4, solid_capstyle="round")
    axes.plot(*path, color=COLORS["Adam"], marker="o", markersize=4, label="down the derivatives")
    best = np.unravel_index(np.nanargmin(grid), grid.shape)
    star = axes.plot(rates[best[1]], powers[best[0]], marker="*", linestyle="", label="best of the sweep")
    plt.setp(star, markersize=16, color="white", markeredgecolor="black")
    axes.set(xscale="log", xlabel="Learning rate", ylabel="Power of the second moment")
    axes.set_title("Padam, from momentum (0) to Adam (1/2)")
    axes.legend(loc="lower left", frameon=True, framealpha=0.9)
    figure.colorbar(image, label="Training loss at the end", extend="max")
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="custom_optimizer.png")
    parser.add_argument("--steps", type=whole(2), help="steps of each training (default: 100, with --quick: 30)")
    parser.add_argument("--side", type=whole(2), help="learning rates and powers (default: 13, with --quick: 5)")
    args = parser.parse_args()
    few = head(split(parser.load(args.data_dir, args.seed), args.seed).train, IMAGES)
    args.out = parser.place(args.out)
    key, steps = jax.random.key(args.seed), args.steps or (30 if args.quick else 100)
    task = Task(few, jax.jit(NETWORK.init)(key, few.images[:1]), jax.random.split(key, steps))
    print(repr(clipped_padam(0.01, 0.25)))
    grid = sweep(task, args.side or (5 if args.quick else 13))
    points, losses = follow(task, 15 if args.quick else 25)
    check_claims(task, grid, losses)
    save(draw(grid, points), args.out)


if __name__ == "__main__":
    main()
