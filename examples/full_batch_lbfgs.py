"""L-BFGS fits full batches, and SGD mini-batches.

One small network of Flax is trained with every image in every step, by L-BFGS, by Newton-CG, and by SGD with momentum
at the best learning rate of a grid, which is one `jax.vmap`. The line searches and curvatures of the first two
suppose that the loss is the same function at every step; the last two runs show what becomes of SGD and of L-BFGS
when it is not, on mini-batches. The work is counted in passes over the images: an evaluation of the loss, with its
gradient or without, is one, and a product with the Hessian two.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from flax import linen
from jax import Array
from matplotlib.figure import Figure
from tqdm import tqdm

import gradtx
from _arguments import DigitsParser, Split, check, split
from _digits import CLASSES
from _figures import COLORS, save, use_style, whole
from _training import Run, batch, cross_entropy, head, start
from gradtx import GradientTransformation

BATCH, IMAGES = 128, 5000  # of a mini-batch, and at most of a full one
POINTS = 100  # of a curve
NETWORK = linen.Sequential([linen.Dense(32), jnp.tanh, linen.Dense(CLASSES)])
LBFGS, NEWTON, SGD = "L-BFGS", "Newton-CG", "SGD"
LOOKS: dict[tuple[str, bool], tuple[str, str]] = {
    (LBFGS, True): (COLORS["Adam"], "-"),
    (NEWTON, True): (COLORS["AdaGrad"], "-."),
    (SGD, True): (COLORS["SGD"], "-"),
    (SGD, False): (COLORS["Momentum"], "--"),
    (LBFGS, False): (COLORS["RMSProp"], "--"),
}


class Curve(NamedTuple):
    """The loss over all training images, and the passes over them that it took: (points,) each."""

    passes: Any
    loss: Any


Curves = dict[tuple[str, bool], Curve]  # by optimizer, and whether it saw all images at every step


def loss_on(data: Split, params: Any) -> Array:
    return cross_entropy(cast(Array, NETWORK.apply(params, data.images)), data.labels)


def searched(state: Any) -> Array:
    """The evaluations of the loss in the last step beside its gradient: for the line search and the curvature."""
    total = lambda name: sum(gradtx.find_states(state, name).values(), jnp.zeros((), jnp.int32))
    return total("num_linesearch_steps") + 2 * total("num_cg_steps")


def walk(data: Split, size: int | None, params: Any, keys: Array, tx: GradientTransformation) -> Curve:
    """The curve of one run, its work in evaluations; keys are (points, steps from one to the next)."""

    # gallery: one step, on a part of the images or on all
    def step(run: Run, key: Array) -> tuple[Run, Array]:
        part = data if size is None else batch(data, key, size)
        loss = partial(loss_on, part)
        value, grads = jax.value_and_grad(loss)(run.params)
        updates, state = tx.update(grads, run.state, run.params, value=value, grad=grads, value_fn=loss)
        return Run(gradtx.apply_updates(run.params, updates), state), 1 + searched(state)

    # gallery: end
    def to_next_point(run: Run, keys: Array) -> tuple[Run, Curve]:
        run, evaluations = jax.lax.scan(step, run, keys)
        return run, Curve(jnp.sum(evaluations), loss_on(data, run.params))

    _, (evaluations, loss) = jax.lax.scan(to_next_point, start(tx, params), keys)
    return Curve(jnp.cumsum(evaluations), loss)


class Plan(NamedTuple):
    """What to run: stacked optimizers, of which the best is drawn, on this many images for this many steps."""

    optimizers: GradientTransformation
    size: int | None
    steps: int


def plans(data: Split, budget: int, rates: Array) -> dict[tuple[str, bool], Plan]:
    """The five runs, with as many steps as fit into the budget of passes."""
    sgd = jax.vmap(lambda rate: gradtx.sgd(rate, momentum=0.9))(rates)
    lbfgs, newton = jax.vmap(gradtx.lbfgs)(jnp.ones(1)), jax.vmap(gradtx.newton_cg)(jnp.ones(1))
    small = int(budget * len(data.labels) / BATCH)  # steps of one pass each
    return {
        (LBFGS, True): Plan(lbfgs, None, budget // 2),
        (NEWTON, True): Plan(newton, None, budget // 4),
        (SGD, True): Plan(sgd, None, budget),
        (SGD, False): Plan(sgd, BATCH, small),
        (LBFGS, False): Plan(lbfgs, BATCH, small // 2),
    }


def run(plan: Plan, data: Split, params: Any, key: Array, budget: int) -> tuple[float, Curve]:
    """The learning rate and the curve, up to the budget, of the optimizer that ends lowest."""
    every = max(1, plan.steps // POINTS)
    keys = jax.random.split(key, (plan.steps // every, every))
    members = jax.jit(jax.vmap(walk, (None, None, None, None, 0)), static_argnums=1)
    curves = jax.tree.map(np.asarray, members(data, plan.size, params, keys, plan.optimizers))
    best = int(np.nanargmin(curves.loss[:, -1]))
    passes, loss = curves.passes[best] * (plan.size or len(data.labels)) / len(data.labels), curves.loss[best]
    rate = float(plan.optimizers.learning_rate[best])
    return rate, Curve(passes[passes <= budget], loss[passes <= budget])


def print_table(curves: Curves, rates: dict[tuple[str, bool], float], budget: int) -> None:
    print(f"After {budget} passes over the images:")
    print(f"{'Optimizer':<10} {'Images per step':>16} {'Rate':>9} {'Training loss':>14}")
    for (name, full), curve in curves.items():
        rate = f"{rates[name, full]:.2g}" if name == SGD else "searched"
        print(f"{name:<10} {'all' if full else BATCH:>16} {rate:>9} {curve.loss[-1]:>14.2g}")


def check_claims(curves: Curves) -> None:
    end = {key: float(curve.loss[-1]) for key, curve in curves.items()}
    full, sgd, part, lost = end[LBFGS, True], end[SGD, True], end[SGD, False], end[LBFGS, False]
    check(3 * full < sgd, f"on full batches L-BFGS ends at {full:.1g}, under a third of SGD's {sgd:.1g}")
    check(3 * part < lost, f"on mini-batches SGD ends at {part:.1g}, under a third of L-BFGS's {lost:.1g}")
    check(end[NEWTON, True] < 0.5, f"Newton-CG needs no learning rate either, and ends at {end[NEWTON, True]:.1g}")


def draw(curves: Curves, budget: int) -> Figure:
    use_style()
    figure, axes = plt.subplots(figsize=(8.5, 5))
    for (name, full), (passes, loss) in curves.items():
        color, dash = LOOKS[name, full]
        label = f"{name}, {'full batch' if full else 'mini-batches'}"
        axes.plot(passes, loss, color=color, linestyle=dash, label=label)
    axes.set(yscale="log", xlim=(0, budget), ylim=(1e-7, 3))
    axes.set(xlabel="Passes over the training images", ylabel="Loss on all training images")
    axes.set_title("L-BFGS fits full batches")
    axes.grid(True)
    axes.legend(loc="lower left")
    return figure


def main() -> None:
    parser = DigitsParser(__doc__, picture="full_batch_lbfgs.png")
    parser.add_argument("--passes", type=whole(20), help="budget of each run (default: 200, with --quick: 60)")
    args = parser.parse_args()
    data = head(split(parser.load(args.data_dir, args.seed), args.seed).train, IMAGES)
    args.out = parser.place(args.out)
    budget = args.passes or (60 if args.quick else 200)
    rates = jnp.array([0.1, 0.3, 1.0]) if args.quick else jnp.logspace(-2, 0.5, 11)
    key = jax.random.key(args.seed)
    params = jax.jit(NETWORK.init)(key, data.images[:1])
    curves: Curves = {}
    chosen: dict[tuple[str, bool], float] = {}
    for which, plan in tqdm(plans(data, budget, rates).items(), desc="Training", unit="run"):
        chosen[which], curves[which] = run(plan, data, params, key, budget)
    print_table(curves, chosen, budget)
    check_claims(curves)
    save(draw(curves, budget), args.out)


if __name__ == "__main__":
    main()
