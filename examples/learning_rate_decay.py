"""Every schedule of gradtx, drawn, and what decay of the learning rate is good for.

A softmax regression on the digits, with a little L2, has one minimum, which L-BFGS finds. SGD on small batches gets
near it: with a constant learning rate the noise of the batches keeps it at a distance, with a decaying one the noise
dies away. A schedule is a value and its numbers are leaves, so each is swept over its peak by `jax.vmap`, and all
schedules at all peaks and seeds train in one program.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

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
from _arguments import DigitsParser, Split, check, split
from _digits import CLASSES
from _figures import COLORS, INK, save, use_style, whole
from _training import Run, batch, cross_entropy, head, start, take_steps, with_bar
from gradtx import Schedule

BATCH, L2 = 16, 0.01
IMAGES = 5000  # at most
NETWORK = linen.Dense(CLASSES)
DASHES: tuple[Any, ...] = ("-", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)), "-", "--")
Decay = Callable[[Any], Any]  # from the peak learning rate to the learning rate or its schedule


def every_schedule(steps: int) -> dict[str, Schedule]:
    """All of them, for a run of some steps and a peak of 1."""
    part = lambda share: round(share * steps)
    cycle = dict(init_value=0.0, peak_value=1.0, warmup_steps=part(0.05))
    cosine = gradtx.cosine_decay_schedule(1.0, part(0.5))
    found = (
        gradtx.constant_schedule(1.0),
        gradtx.linear_schedule(1.0, 0.0, steps),
        gradtx.polynomial_schedule(1.0, 0.0, 3.0, steps),
        gradtx.exponential_decay(1.0, part(0.2), 0.5),
        gradtx.inverse_time_decay(1.0, part(0.2), 1.0),
        gradtx.cosine_decay_schedule(1.0, steps, alpha=0.1),
        gradtx.piecewise_constant_schedule(1.0, {part(0.4): 0.3, part(0.7): 0.3}),
        gradtx.piecewise_interpolate_schedule("cosine", 1.0, {part(0.4): 0.4, part(0.8): 0.2}),
        gradtx.inverse_sqrt_schedule(0.0, 1.0, part(0.1)),
        gradtx.rsqrt_cooldown_schedule(0.0, 1.0, part(0.1), part(0.2), steps, timescale=part(0.2)),
        gradtx.wsd_schedule(0.0, 1.0, part(0.1), part(0.6), part(0.3)),
        gradtx.powercool_schedule(1.0, part(0.4) ** -1.2, steps),
        gradtx.linear_onecycle_schedule(steps, 1.0),
        gradtx.cosine_onecycle_schedule(steps, 1.0),
        gradtx.sgdr_schedule([cycle | dict(decay_steps=part(0.2)), cycle | dict(decay_steps=part(0.8))]),
        gradtx.join_schedules([cosine, gradtx.linear_schedule(0.6, 0.0, part(0.5))], [part(0.5)]),
        gradtx.warmup(gradtx.exponential_decay(1.0, part(0.2), 0.5, staircase=True), part(0.15)),
        gradtx.warmup_constant_schedule(0.0, 1.0, part(0.2)),
        gradtx.warmup_cosine_decay_schedule(0.0, 1.0, part(0.15), steps),
        gradtx.warmup_exponential_decay_schedule(0.0, 1.0, part(0.15), part(0.2), 0.4),
        gradtx.ademamix_alpha_schedule(1.0, part(0.6)),
        gradtx.ademamix_b3_schedule(0.1, 0.9, part(0.8)),
    )
    return {schedule.name: schedule for schedule in found}


def public_schedules() -> set[str]:
    """The names of all schedules in gradtx."""
    made = {name for name, x in vars(gradtx).items() if getattr(x, "__module__", "").startswith("gradtx.schedules.")}
    return made - {"plot_schedule"}


def decays(steps: int) -> dict[str, Decay]:
    # gallery: schedules to train with, each from its peak
    return {
        "constant": lambda peak: peak,
        "inverse time": lambda peak: gradtx.inverse_time_decay(peak, steps / 20, 1.0),
        "in steps": lambda peak: gradtx.piecewise_constant_schedule(peak, {steps // 2: 0.2, steps * 4 // 5: 0.2}),
        "exponential": lambda peak: gradtx.exponential_decay(peak, steps, 0.01),
        "cosine": lambda peak: gradtx.cosine_decay_schedule(peak, steps),
        "flat, then linear": lambda peak: gradtx.wsd_schedule(0.0, peak, 0, steps / 2, steps / 2),
    }
    # gallery: end


def loss_on(part: Split, params: Any) -> Array:
    penalty = L2 / 2 * gradtx.tree_vdot(params, params)
    return cross_entropy(cast(Array, NETWORK.apply(params, part.images)), part.labels) + penalty


Losses = dict[str, NDArray[np.float32]]  # by decay: the loss above the minimum, (peaks, times), mean over the seeds


def train_all(data: Split, peaks: Array, steps: int, seeds: int, key: Array) -> Losses:
    """Train with every decay from every peak in one program."""
    params = jax.jit(NETWORK.init)(key, data.images[:1])
    lowest = gradtx.solve(partial(loss_on, data), params).value

    def advance(tx: gradtx.GradientTransformation, run: Run, keys: Array) -> tuple[Run, Array]:
        run, _ = take_steps(tx, lambda params, key: loss_on(batch(data, key, BATCH), params), run, keys)
        return run, loss_on(data, run.params)[None]

    @jax.jit
    def advance_all(runs: dict[str, Run], keys: Array) -> tuple[dict[str, Run], dict[str, Array]]:
        members = jax.vmap(advance, (0, 0, 1))
        done = {name: members(tx, runs[name], jnp.tile(keys, len(peaks))) for name, tx in optimizers.items()}
        return {name: run for name, (run, _) in done.items()}, {name: loss for name, (_, loss) in done.items()}

    every_peak = jnp.repeat(peaks, seeds)
    optimizers = {name: jax.vmap(lambda p, d=d: gradtx.sgd(d(p)))(every_peak) for name, d in decays(steps).items()}
    runs = {name: jax.jit(jax.vmap(start, (0, None)))(tx, params) for name, tx in optimizers.items()}
    _, losses = with_bar(advance_all, runs, jax.random.split(key, (steps, seeds)), moves=40)
    above = lambda loss: np.mean(loss.reshape(len(peaks), seeds, -1), axis=1) - float(lowest)
    return {name: above(losses[name]) for name in optimizers}


def print_table(losses: Losses, peaks: Array) -> None:
    print("Training loss above its minimum at the end, for a peak learning rate of")
    print(f"{'':<18}" + "".join(f"{peak:>9.2g}" for peak in peaks))
    for name, loss in losses.items():
        print(f"{name:<18}" + "".join(f"{x:>9.2g}" for x in loss[:, -1]))


def check_claims(losses: Losses, schedules: dict[str, Schedule]) -> None:
    check(set(schedules) == public_schedules(), f"all {len(schedules)} schedules of gradtx are drawn")
    best = {name: float(np.nanmin(loss[:, -1])) for name, loss in losses.items()}
    flat, nearest = best.pop("constant"), min(best, key=best.__getitem__)
    claim = f"the best decay, {nearest}, ends at {best[nearest]:.2g}, the best constant rate at {flat:.2g}"
    check(best[nearest] < flat, claim)
    high = losses["cosine"][-1, -1] < losses["constant"][-1, -1] / 10
    check(bool(high), "from the highest peak the cosine ends ten times nearer than a constant rate")


def draw_schedule(axes: Axes, schedule: Schedule, steps: int) -> None:
    at = np.linspace(0, steps, 400)
    values = np.asarray(jax.vmap(schedule)(jnp.asarray(at)))
    axes.fill_between(at, values, color=COLORS["Nesterov"], alpha=0.25, linewidth=0)
    axes.plot(at, values, color=COLORS["Momentum"], linewidth=1.6)
    axes.set_title(schedule.name.removesuffix("_schedule"), fontsize=9.5, weight="normal", pad=3)
    axes.set(xlim=(0, steps), ylim=(0, 1.08), xticks=(0, steps), yticks=(0, 1))
    axes.tick_params(labelsize=9, length=2.5)


def draw_losses(curves: Axes, ends: Axes, losses: Losses, peaks: Array, steps: int) -> None:
    looks = zip(
        (INK, *(COLORS[n] for n in ("AdaGrad", "Nesterov", "RMSProp", "Adam", "Momentum"))), DASHES, strict=True
    )
    for (name, loss), (color, dash) in zip(losses.items(), looks, strict=True):
        best = loss[int(np.nanargmin(loss[:, -1]))]
        times = np.arange(1, len(best) + 1) * steps / len(best)
        curves.plot(times, best, color=color, linestyle=dash, label=name)
        ends.plot(peaks, loss[:, -1], color=color, linestyle=dash, marker="o", markersize=4)
    curves.set(yscale="log", xlim=(0, steps), xlabel="Step", ylabel="Training loss above its minimum")
    curves.set_title("Each from its best peak")
    curves.legend(fontsize=10, ncols=2)
    ends.set(yscale="log", xscale="log", ylim=(None, 2), xlabel="Peak learning rate", ylabel="At the end")
    ends.set_title("From every peak")
    for axes in (curves, ends):
        axes.grid(True)


def draw(losses: Losses, schedules: dict[str, Schedule], peaks: Array, steps: int) -> Figure:
    use_style()
    figure = plt.figure(figsize=(13, 10), layout="constrained")
    above, below = cast(Any, figure.subfigures(2, 1, height_ratios=(1.25, 1)))
    panels = above.subplots(4, 6, sharex=True, sharey=True)
    for axes, schedule in zip(panels.flat, schedules.values(), strict=False):
        draw_schedule(axes, schedule, steps)
    for axes in panels.flat[len(schedules) :]:
        axes.axis("off")
    curves, ends = below.subplots(1, 2)
    draw_losses(curves, ends, losses, peaks, steps)
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="learning_rate_decay.png")
    parser.add_argument("--steps", type=whole(40), help="steps of each run (default: 2000, with --quick: 400)")
    args = parser.parse_args()
    data = head(split(parser.load(args.data_dir, args.seed), args.seed).train, IMAGES)
    args.out = parser.place(args.out)
    steps = args.steps or (400 if args.quick else 2000)
    peaks = jnp.array([0.1, 0.5, 5.0]) if args.quick else jnp.logspace(-1.5, 1, 11)
    losses = train_all(data, peaks, steps, seeds=2 if args.quick else 4, key=jax.random.key(args.seed))
    schedules = every_schedule(steps)
    print_table(losses, peaks)
    check_claims(losses, schedules)
    save(draw(losses, schedules, peaks, steps), args.out)


if __name__ == "__main__":
    main()
