"""Learn the learning rate, momentum and weight decay themselves, by the gradient through training.

An optimizer of gradtx is a tree of its hyperparameters, so it can be the parameters of another:
`jax.grad` of the validation loss after a whole training gives an optimizer of slopes, and a second
optimizer takes the step. Three guesses are learned side by side, as one stacked optimizer. The
result is compared with the best of a grid, whose trainings are one `gradtx.Sweep`. What is learned
is SGD with momentum, whose learning rate falls on a line to 0; every loss is the mean over a few
starts of a small network.
"""

import argparse
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tqdm import tqdm

import _tuning
import gradtx
from _arguments import DigitsParser, Split, Splits, check, split
from _figures import COLORS, INK, save, use_style, whole
from _tuning import Task, error, loss, make_task, train
from gradtx import GradientTransformation, Sweep

STARTS = 4  # networks that each loss is the mean of
NAMES = "learning_rate", "momentum", "weight_decay"
GUESSES = [0.01, 0.03, 0.3], [0.5, 0.9, 0.1], [1e-4, 1e-3, 1e-5]
LOWEST, HIGHEST = (1e-5, 0.0, 1e-8), (10.0, 0.99, 1.0)  # where the hyperparameters stay
# Adam's direction times the size of each number: a step changes no hyperparameter by much more than a fifth of it.
LEARNER = gradtx.chain(gradtx.scale_by_adam(0.8, 0.9), gradtx.scale_by_param_block_rms(1e-8), gradtx.scale(-0.2))
LOOKS = ("Adam", "-"), ("AdaGrad", (0, (1, 1))), ("Momentum", (0, (5, 1, 1, 1)))  # of the guesses
AXES: tuple[Any, ...] = (0, 0, None, None)  # of a Task that holds several starts: they share the images


Maker = Callable[[Any, Any, Any], GradientTransformation]


def maker(steps: int) -> Maker:
    """Makes the optimizer of a training of so many steps."""

    def make(learning_rate: Any, momentum: Any, weight_decay: Any) -> GradientTransformation:
        falling = gradtx.linear_schedule(learning_rate, 0.0, float(steps), 0.0)
        return gradtx.sgd(falling, momentum, weight_decay=gradtx.coupled(weight_decay))

    return make


class Learned(NamedTuple):
    """The path of one guess."""

    losses: NDArray[Any]  # (steps,)
    optimizers: list[GradientTransformation]

    def best(self) -> int:
        """The step with the lowest loss."""
        return int(np.nanargmin(self.losses))


# Learning.


def over_starts(f: Any, *axes: int) -> Any:
    """`f(..., task)` for every start."""
    return jax.vmap(f, (*axes, Task(*AXES)))


# gallery: the loss after a training is a function of the optimizer, and another optimizer minimises it
def loss_after(tx: GradientTransformation, tasks: Task) -> Array:
    """The validation loss after training, as a differentiable function of the optimizer."""
    return jnp.mean(over_starts(lambda task: loss(train(tx, task), task.validation))(tasks))


def learn_step(tx: GradientTransformation, state: Any, bounds: Any, tasks: Task) -> tuple[Any, Any, Array]:
    """One step of the optimizer of the optimizer, and the loss before it."""
    value, slopes = jax.value_and_grad(loss_after)(tx, tasks)
    tx, state = gradtx.step(LEARNER, tx, state, slopes)
    return jax.tree.map(jnp.clip, tx, *bounds), state, value


# gallery: end


def learn(make: Maker, tasks: Task, steps: int) -> list[Learned]:
    """The paths of all guesses, learned in one program."""
    advance = jax.jit(jax.vmap(learn_step, (0, 0, None, None)))
    bounds = make(*LOWEST), make(*HIGHEST)  # equal where they are not learned: what the schedule ends with
    tx = Sweep(make, dict(zip(NAMES, GUESSES, strict=True))).tx
    state, path = jax.vmap(LEARNER.init)(tx), []
    for _ in tqdm(range(steps), "Learning"):
        before = tx
        tx, state, value = advance(tx, state, bounds, tasks)
        path.append(jax.device_get((value, before)))
    return [
        Learned(np.array([value[i] for value, _ in path]), [member(tx, i) for _, tx in path])
        for i in range(len(GUESSES[0]))
    ]


def member(tx: GradientTransformation, i: int) -> GradientTransformation:
    return jax.tree.map(lambda x: x[i], tx)


# The grid.


def init(tx: GradientTransformation, tasks: Task) -> Any:
    return over_starts(partial(_tuning.init, tx))(tasks)


def step(tx: GradientTransformation, runs: Any, i: Array, tasks: Task) -> Any:
    return over_starts(lambda run, task: _tuning.step(tx, run, i, task), 0)(runs, tasks)


def score(runs: Any, tasks: Task) -> Array:
    return jnp.mean(over_starts(lambda run, task: loss(run[0], task.validation), 0)(runs, tasks))


def search_grid(make: Maker, tasks: Task, points: tuple[int, int, int]) -> gradtx.SweepResult:
    rates, momenta, decays = points
    axes = np.geomspace(1e-3, 3, rates), np.linspace(0, 0.95, momenta), np.geomspace(1e-5, 0.1, decays)
    columns = zip(*product(*(axis.tolist() for axis in axes)), strict=True)
    sweep = Sweep(make, dict(zip(NAMES, columns, strict=True)))
    steps = tasks.rows.shape[1]
    with tqdm(total=len(sweep) * steps, unit="step", desc="Grid") as bar:
        return sweep.train(init, step, score, steps, args=(tasks,), progress=lambda done, _: bar.update(done - bar.n))


# The results.


def numbers(tx: GradientTransformation) -> tuple[float, float, float]:
    return float(tx.learning_rate(0)), float(tx.momentum), float(tx.weight_decay.weight_decay)


def print_row(name: str, tx: GradientTransformation, value: float, tasks: Task, digits: Splits) -> None:
    wrong = 100 * float(jnp.mean(test_errors(tx, tasks, digits.test)))
    rate, momentum, decay = numbers(tx)
    print(f"{name:<28}{rate:>17.4f}{momentum:>17.3f}{decay:>17.1e}{value:>17.4f}{wrong:>15.2f} %")


@jax.jit
def test_errors(tx: GradientTransformation, tasks: Task, test: Split) -> Array:
    return over_starts(lambda task: error(train(tx, task), test))(tasks)


def draw(learned: list[Learned], best: GradientTransformation, lowest: float) -> Figure:
    """The loss and the hyperparameters as they are learned, each beside the best of the grid."""
    use_style()
    figure = plt.figure(figsize=(10, 5), layout="constrained")
    cells = figure.add_gridspec(3, 2)
    left = figure.add_subplot(cells[:, 0])
    draw_lines(left, [guess.losses for guess in learned], lowest)
    left.set(title="Validation loss after training", xlabel="Step of the learner", ylabel="Cross-entropy", yscale="log")
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter("{x:g}")
    left.legend()
    paths = np.array([[numbers(tx) for tx in guess.optimizers] for guess in learned])
    for row, (name, wanted) in enumerate(zip(NAMES, numbers(best), strict=True)):
        axes = figure.add_subplot(cells[row, 1])
        draw_lines(axes, list(paths[:, :, row]), wanted)
        axes.set(ylabel=name.replace("_", " ").capitalize(), yscale="linear" if name == "momentum" else "log")
        axes.tick_params(labelbottom=row == 2)
    figure.axes[1].set_title("Hyperparameters")
    figure.axes[-1].set_xlabel("Step of the learner")
    figure.align_ylabels(figure.axes[1:])
    return figure


def draw_lines(axes: Axes, learned: list[NDArray[Any]], best: float) -> None:
    axes.axhline(best, color=INK, linestyle=(0, (4, 1.5)), linewidth=1.4, label="Best of the grid")
    for number, (line, (name, dash)) in enumerate(zip(learned, LOOKS, strict=True), 1):
        axes.plot(line, color=COLORS[name], linestyle=dash, label=f"Learned from guess {number}")
    axes.grid(True)


# The script.


def parse() -> tuple[argparse.Namespace, Splits]:
    """The arguments and the data they ask for."""
    parser = DigitsParser(__doc__, picture="hypergradients.png")
    parser.add_argument("--steps", type=whole(1), help="steps of a training (default: 60, with --quick: 20)")
    parser.add_argument("--learner-steps", type=whole(1), help="steps of the learner (default: 100, with --quick: 40)")
    args = parser.parse_args()
    args.steps = args.steps or (20 if args.quick else 60)
    args.learner_steps = args.learner_steps or (40 if args.quick else 100)
    digits = split(parser.load(args.data_dir, args.seed), args.seed, share=0.5)
    args.out = parser.place(args.out)
    return args, digits


def main() -> None:
    args, digits = parse()
    make = maker(args.steps)
    starts = jax.random.split(jax.random.key(args.seed), STARTS)
    tasks = jax.vmap(partial(make_task, digits, args.steps), out_axes=Task(*AXES))(starts)
    found = search_grid(make, tasks, (4, 3, 2) if args.quick else (8, 6, 5))
    lowest = float(found.scores.min())
    learned = learn(make, tasks, args.learner_steps)

    heads = "Learning rate", "Momentum", "Weight decay", "Validation loss", "Test error"
    print(f"{'':<28}" + "".join(f"{head:>17}" for head in heads))
    for number, guess in enumerate(learned, 1):
        print_row(f"Guess {number}", guess.optimizers[0], guess.losses[0], tasks, digits)
        best = guess.best()
        print_row(f"  learned, after {best} steps", guess.optimizers[best], guess.losses[best], tasks, digits)
    print_row(f"Best of a grid of {len(found.scores)}", found.best, lowest, tasks, digits)

    claim = partial(check, on_own_data=args.data_dir is not None)
    claim(all(g.losses[g.best()] < g.losses[0] for g in learned), "learning lowers the validation loss of every guess")
    reached = min(float(guess.losses[guess.best()]) for guess in learned)
    claim(reached <= lowest, f"the lowest learned loss, {reached:.4f}, is no worse than the grid's, {lowest:.4f}")
    save(draw(learned, found.best, lowest), args.out)


if __name__ == "__main__":
    main()
