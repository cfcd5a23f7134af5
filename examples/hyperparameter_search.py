"""Search the learning rate, momentum and weight decay of a small network in four ways.

Random samples, short training, narrow the ranges around the best, repeat: the recipe of every
course, against random samples without narrowing, a grid, and Bayesian optimisation by Optuna.
Whatever asks for a batch of trainings gets them from one `gradtx.Sweep`, which is one program.
Then trainings in one program race runs of a jitted function, one after another, and Optax
optimizers, each of which has to be compiled.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray
from tqdm import tqdm

import gradtx
from _arguments import DigitsParser, Splits, check, installed, split
from _figures import save, whole
from _search_figure import draw
from _tuning import Task, error, init, make, make_task, step, train
from gradtx import Sweep, SweepResult

ROUNDS = 3  # of narrowing
BATCH = 16  # trainings that Optuna asks for at a time, the first of them at random
RANGES = {
    "learning_rate": gradtx.log_uniform(1e-6, 100.0),
    "momentum": gradtx.uniform(0.0, 0.99),
    "weight_decay": gradtx.log_uniform(1e-8, 10.0),
}
RECIPE, RANDOM, GRID, BAYES = "Random, narrowed", "Random", "Grid", "Optuna (TPE)"
OPTAX = "Optax, each compiled"


def score(run: Any, task: Task) -> Array:
    """The share of validation images that is taken for another digit."""
    return error(run[0], task.validation)


# Four ways to search. Each yields a batch of trainings at a time.

Run = Callable[[Sweep], SweepResult]


# gallery: sample, train in one program, narrow the ranges to those of the best quarter, repeat
def narrowed(found: SweepResult) -> dict[str, Any]:
    """The ranges of the best quarter of the samples."""
    best = found.order[: max(2, len(found.scores) // 4)]
    columns = {name: [column[i] for i in best] for name, column in found.sweep.values.items()}
    return {name: gradtx.replace(RANGES[name], low=min(x), high=max(x)) for name, x in columns.items()}


def search_recipe(run: Run, n: int, seed: int) -> Iterator[SweepResult]:
    ranges: dict[str, Any] = RANGES
    for key in jax.random.split(jax.random.key(seed), ROUNDS):
        found = run(gradtx.sweep(make, ranges, n, key=key))
        ranges = narrowed(found)
        yield found


# gallery: end


def search_random(run: Run, n: int, seed: int) -> Iterator[SweepResult]:
    for key in jax.random.split(jax.random.key(seed), ROUNDS):
        yield run(gradtx.sweep(make, RANGES, n, key=key))


def search_bayes(run: Run, n: int, seed: int) -> Iterator[SweepResult]:
    """Ask for a batch, train it in one program, tell its scores."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=BATCH))
    spaces: dict[str, Any] = {
        name: optuna.distributions.FloatDistribution(at.low, at.high, log=at.name == "log_uniform")
        for name, at in RANGES.items()
    }
    for done in range(0, ROUNDS * n, BATCH):
        trials = [study.ask(spaces) for _ in range(min(BATCH, ROUNDS * n - done))]
        found = run(Sweep(make, {name: [trial.params[name] for trial in trials] for name in RANGES}))
        for trial, result in zip(trials, found.scores, strict=True):
            study.tell(trial, float(result))
        yield found


def grid(budget: int) -> list[tuple[float, ...]]:
    """The largest grid of at most so many points, with at least as many learning rates as values of the others."""
    side = int(budget ** (1 / 3) + 1e-9)
    counts = budget // side**2, side, side
    axes = [[at(float(u)) for u in np.linspace(0, 1, k)] for at, k in zip(RANGES.values(), counts, strict=True)]
    return list(product(*axes))


def search_grids(run: Run, budgets: list[int]) -> dict[int, float]:
    """The best score on the grid of each budget."""
    grids = {budget: grid(budget) for budget in budgets}
    rows = [row for rows in grids.values() for row in rows]
    scores = iter(run(Sweep(make, dict(zip(RANGES, zip(*rows, strict=True), strict=True)))).scores)
    return {budget: min(float(next(scores)) for _ in rows) for budget, rows in grids.items()}


def search_all(run: Run, n: int, seeds: range) -> tuple[dict[str, list[list[SweepResult]]], dict[int, float]]:
    """The batches of each method for each seed, and the best accuracy on the grid of each budget."""
    methods = {RECIPE: search_recipe, RANDOM: search_random}
    if installed("optuna"):
        methods[BAYES] = search_bayes
    budgets = [n * (i + 1) for i in range(ROUNDS)]
    total = budgets[-1] * len(methods) * len(seeds) + sum(len(grid(budget)) for budget in budgets)
    with tqdm(total=total, unit="training", desc="Searching") as bar:

        def counted(sweep: Sweep) -> SweepResult:
            found = run(sweep)
            bar.update(len(sweep))
            return found

        found = {name: [list(method(counted, n, seed)) for seed in seeds] for name, method in methods.items()}
        return found, {budget: 100 * (1 - best) for budget, best in search_grids(counted, budgets).items()}


def best_so_far(found: dict[str, list[list[SweepResult]]]) -> dict[str, NDArray[Any]]:
    """The best validation accuracy in percent after each training: (seeds, trainings) for each method."""
    running = lambda runs: np.minimum.accumulate(np.concatenate([run.scores for run in runs]))
    return {name: 100 * (1 - np.array([running(runs) for runs in seeds])) for name, seeds in found.items()}


# The race.


def trained(tx: Any, task: Task) -> Array:
    """The score of one training, with an optimizer of gradtx or of Optax."""
    return error(train(tx, task), task.validation)


# gallery: all trainings of a sweep, in one program
def one_program(sweep: Sweep, task: Task) -> Any:
    return sweep.train(init, step, score, len(task.rows), args=(task,), rounds=1).scores


# gallery: end


def one_by_one(sweep: Sweep, task: Task) -> Any:
    run = jax.jit(trained)
    return [run(tx, task) for tx in tqdm(sweep.members, "One by one", leave=False)]


def optax_each(sweep: Sweep, task: Task) -> Any:
    import optax

    def optimizer(learning_rate: float, momentum: float, weight_decay: float) -> Any:
        return optax.chain(optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum))

    rows = list(zip(*sweep.values.values(), strict=True))
    return [jax.jit(partial(trained, optimizer(*row)))(task) for row in tqdm(rows, "Optax", leave=False)]


def race(sweep: Sweep, task: Task) -> tuple[dict[str, float], float]:
    """The seconds of each runner, compilation included, and how much their scores differ at most, on average."""
    runners = {"one program": one_program, "one by one, jitted": one_by_one}
    if installed("optax"):
        runners[OPTAX] = optax_each
    seconds: dict[str, float] = {}
    scores: dict[str, NDArray[Any]] = {}
    for name, runner in runners.items():
        jax.clear_caches()
        began = time.perf_counter()
        scores[name] = np.asarray(jax.device_get(runner(sweep, task)))
        seconds[name] = time.perf_counter() - began
    finite = np.isfinite(ours := scores["one program"])
    return seconds, max(float(np.mean(np.abs(theirs[finite] - ours[finite]))) for theirs in scores.values())


# The script.


def parse() -> tuple[argparse.Namespace, Splits]:
    """The arguments and the data they ask for."""
    parser = DigitsParser(__doc__, picture="hyperparameter_search.png")
    parser.add_argument("--samples", type=whole(8), help="trainings of a round (default: 64, with --quick: 8)")
    parser.add_argument("--steps", type=whole(1), help="steps of a training (default: 100, with --quick: 30)")
    parser.add_argument("--repeats", type=whole(1), help="searches of each method (default: 3, with --quick: 1)")
    args = parser.parse_args()
    args.samples = args.samples or (8 if args.quick else 64)
    args.steps = args.steps or (30 if args.quick else 100)
    args.repeats = args.repeats or (1 if args.quick else 3)
    digits = split(parser.load(args.data_dir, args.seed), args.seed, share=0.5)
    args.out = parser.place(args.out)
    return args, digits


def print_table(curves: dict[str, NDArray[Any]], grids: dict[int, float]) -> None:
    print("Best validation accuracy (%) of so many trainings, mean ± deviation over searches:")
    print(f"{'':<18}" + "".join(f"{budget:>15}" for budget in grids))
    for name, curve in curves.items():
        cells = (f"{curve[:, budget - 1].mean():.2f} ± {curve[:, budget - 1].std():.2f}" for budget in grids)
        print(f"{name:<18}" + "".join(f"{cell:>15}" for cell in cells))
    print(f"{GRID:<18}" + "".join(f"{best:>15.2f}" for best in grids.values()))


def main() -> None:
    jax.config.update("jax_enable_compilation_cache", False)  # the race is about compiling
    args, digits = parse()
    task = make_task(digits, args.steps, jax.random.key(args.seed))
    run: Run = lambda sweep: sweep.train(init, step, score, args.steps, args=(task,), rounds=1)
    found, grids = search_all(run, args.samples, range(args.seed, args.seed + args.repeats))
    curves = best_so_far(found)
    print_table(curves, grids)

    rounds = found[RECIPE][0]
    print(f"\nThe best of the last round of the first search:\n{rounds[-1].table(5)}")
    params, _ = rounds[-1].state(int(rounds[-1].order[0]))
    test_accuracy = 100 * (1 - error(params, digits.test))
    print(f"{rounds[-1].best}: test accuracy {test_accuracy:.2f} %\n")

    raced = gradtx.sweep(make, RANGES, 6 if args.quick else args.samples, key=args.seed)
    seconds, difference = race(raced, task)
    for name, spent in seconds.items():
        print(f"{len(raced)} trainings, {name}: {spent:.2f} s, {spent / seconds['one program']:.1f} times one program")

    claim = partial(check, on_own_data=args.data_dir is not None)
    first, *_, last = (100 * (1 - float(np.median(result.scores))) for result in rounds)
    claim(last > first, f"narrowing raises the median accuracy, from {first:.1f} % to {last:.1f} %")
    wanted, reached = 60 if args.quick else 90, curves[RECIPE][:, -1].min()
    claim(reached > wanted, f"every narrowed search finds more than {wanted} %: the least is {reached:.1f} %")
    claim(difference < 0.01, "all runners score the same trainings alike, to 1 % of the images on average")
    if OPTAX in seconds:
        ratio, least = seconds[OPTAX] / seconds["one program"], 1 if args.quick else 5
        claim(ratio >= least, f"one program is {ratio:.1f} times as fast as Optax compiled each time, at least {least}")
    save(draw(rounds, curves, grids), args.out)


if __name__ == "__main__":
    main()
