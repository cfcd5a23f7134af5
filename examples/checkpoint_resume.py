"""Kill a training process and resume it in another, to the same bits.

A process trains a network and saves a checkpoint with Orbax now and then; at some step it is killed, without warning.
A second process restores the last checkpoint and goes on. What is saved is one tree: the parameters, the optimizer's
state (averages, counters, the key of its gradient noise) and the optimizer itself, whose learning rate was changed by
hand in the meantime. Every loss and every final array equals that of a run that was never killed, bit for bit.
"""

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import orbax.checkpoint as ocp
from flax import linen
from jax import Array
from matplotlib.figure import Figure
from tqdm import tqdm

import gradtx
from _arguments import DigitsParser, Split, check, split
from _digits import CLASSES
from _figures import COLORS, INK, save, use_style, whole
from _training import batch, cross_entropy, head
from gradtx import GradientTransformation

BATCH, IMAGES = 32, 1000
NETWORK = linen.Sequential([linen.Dense(64), jax.nn.relu, linen.Dense(CLASSES)])


class Run(NamedTuple):
    """Everything that training needs to go on, and so all that is saved."""

    params: Any
    state: Any
    tx: GradientTransformation


class Plan(NamedTuple):
    """How long to train, and when something happens."""

    seed: int
    steps: int
    every: int  # steps from one checkpoint to the next
    change: int  # the step at which the learning rate is changed
    kill: int  # the step before which the first process dies


def begin(plan: Plan, data: Split) -> Run:
    noisy = gradtx.chain(gradtx.add_noise(0.001, 0.55, key=plan.seed), gradtx.adamw(0.01, weight_decay=0.001))
    tx = gradtx.ema_params(noisy, decay=0.98)
    params = jax.jit(NETWORK.init)(jax.random.key(plan.seed), data.images[:1])
    return Run(params, tx.init(params), tx)


@jax.jit
def step(run: Run, data: Split, key: Array, i: Array) -> tuple[tuple[Any, Any], Array]:
    images, labels = batch(data, jax.random.fold_in(key, i), BATCH)
    loss = lambda params: cross_entropy(cast(Array, NETWORK.apply(params, images)), labels)
    value, grads = jax.value_and_grad(loss)(run.params)
    return gradtx.step(run.tx, run.params, run.state, grads), value


def train(plan: Plan, run: Run, data: Split, first: int) -> Iterator[tuple[int, Run, Array]]:
    """The steps from `first` on: their number, the run after each, and its loss."""
    key = jax.random.key(plan.seed)
    for i in range(first, plan.steps):
        if i == plan.change:
            run = run._replace(tx=gradtx.replace(run.tx, learning_rate=0.002))
        (params, state), loss = step(run, data, key, jnp.asarray(i))
        run = Run(params, state, run.tx)
        yield i, run, loss


@contextmanager
def checkpoints(folder: Path) -> Generator[ocp.CheckpointManager]:
    with ocp.CheckpointManager(folder / "checkpoints", options=ocp.CheckpointManagerOptions(max_to_keep=2)) as manager:
        yield manager


def train_in_process(plan: Plan, data: Any, folder: Path, name: str, mortal: bool) -> None:
    """What each of the two processes does: restore what there is, train, save; the first one dies."""
    data = jax.tree.map(jnp.asarray, data)
    # gallery: restore, train, save
    run, first = begin(plan, data), 0
    with checkpoints(folder) as manager, (folder / name).open("w") as log:
        if (latest := manager.latest_step()) is not None:
            run, first = cast(Run, manager.restore(latest, args=ocp.args.StandardRestore(run))), latest
        for i, now, loss in train(plan, run, data, first):
            print(i, float(loss).hex(), file=log, flush=True)
            if (i + 1) % plan.every == 0 or i + 1 == plan.steps:
                manager.save(i + 1, args=ocp.args.StandardSave(now))
            if mortal and i + 1 == plan.kill:
                os.kill(os.getpid(), signal.SIGKILL)
    # gallery: end


def in_process(*arguments: Any) -> int:
    """The exit code of a new process that trains."""
    process = multiprocessing.get_context("spawn").Process(target=train_in_process, args=arguments)
    process.start()
    process.join()
    return process.exitcode or 0


def read_log(path: Path) -> dict[int, float]:
    """The losses by step."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {int(i): float.fromhex(loss) for i, loss in lines}


def same_bits(one: Any, other: Any) -> bool:
    """Whether two trees hold the same arrays, to the bit."""
    raw = lambda x: np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
    alike = jax.tree.map(lambda x, y: x.dtype == y.dtype and raw(x).tobytes() == raw(y).tobytes(), one, other)
    return all(jax.tree.leaves(alike))


class Story(NamedTuple):
    """What happened."""

    straight: dict[int, float]  # the losses by step of the run that was never killed
    killed: dict[int, float]
    resumed: dict[int, float]
    exit_code: int  # of the killed process
    same: bool  # whether the resumed run ended with the parameters and the state of the other, to the bit
    tx: GradientTransformation  # the optimizer that was restored in the end


def tell(plan: Plan, data: Split, folder: Path) -> Story:
    """Train once without a break, once killed and resumed."""
    straight: dict[int, float] = {}
    end = begin(plan, data)
    for i, now, loss in tqdm(train(plan, end, data, 0), total=plan.steps, desc="Training", unit="step"):
        straight[i], end = float(loss), now
    given = plan, jax.tree.map(np.asarray, data), folder
    exit_code = in_process(*given, "killed", True)
    in_process(*given, "resumed", False)
    with checkpoints(folder) as manager:
        restored = cast(Run, manager.restore(plan.steps, args=ocp.args.StandardRestore(end)))
    same = same_bits((end.params, end.state), (restored.params, restored.state))
    return Story(straight, read_log(folder / "killed"), read_log(folder / "resumed"), exit_code, same, restored.tx)


def print_table(story: Story) -> None:
    print(f"{'Process':<14} {'Steps':>12} {'Last loss':>22}")
    for name, losses in (("never killed", story.straight), ("killed", story.killed), ("resumed", story.resumed)):
        print(f"{name:<14} {f'{min(losses)} to {max(losses)}':>12} {losses[max(losses)].hex():>22}")
    print(f"Restored: {story.tx}")


def check_claims(plan: Plan, story: Story) -> None:
    check(story.exit_code == -signal.SIGKILL, f"the first process was killed, exit code {story.exit_code}")
    again = sorted(set(story.killed) & set(story.resumed))
    check(len(again) > 0, f"the second began at step {min(story.resumed)}, and took {len(again)} lost steps again")
    redone = story.killed | story.resumed
    check(redone == story.straight, f"all {len(redone)} losses equal those of the run that was never killed")
    check(story.same, "all parameters and all of the optimizer's state equal its, bit for bit")
    changed = gradtx.hyperparameters(story.tx)["optimizer.links[1].learning_rate"]
    check(
        changed == 0.002, f"the learning rate, changed at step {plan.change}, came back with the checkpoint: {changed}"
    )


def draw(plan: Plan, story: Story) -> Figure:
    use_style()
    figure, axes = plt.subplots(figsize=(11, 4.6), layout="constrained")
    axes.plot(*series(story.straight), color=COLORS["Nesterov"], linewidth=6, alpha=0.6, label="never killed")
    axes.plot(*series(story.killed), color=INK, linewidth=1.6, label="first process")
    axes.plot(
        *series(story.resumed), color=COLORS["Adam"], linewidth=1.6, linestyle=(0, (3, 1)), label="second process"
    )
    last = max(story.killed)
    axes.plot(
        last,
        story.killed[last],
        marker="X",
        markersize=13,
        color=INK,
        markeredgecolor="white",
        linestyle="",
        label="killed",
    )
    bottom = min(story.straight.values()) / 2
    saved = np.arange(plan.every, plan.steps + 1, plan.every)
    axes.plot(saved, np.full(len(saved), bottom), marker="^", color=COLORS["AdaGrad"], linestyle="", label="checkpoint")
    axes.axvspan(min(story.resumed), last, color=COLORS["RMSProp"], alpha=0.25, linewidth=0, label="taken again")
    axes.axvline(plan.change, color=INK, linewidth=0.9, linestyle=":")
    axes.annotate(
        "learning rate changed",
        (plan.change, 1),
        (4, -10),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
    )
    axes.set(yscale="log", xlim=(0, plan.steps + 1), xlabel="Step", ylabel="Training loss (cross-entropy)")
    axes.set_title("Killed, resumed, the same to the bit")
    axes.grid(True)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def series(losses: dict[int, float]) -> tuple[list[int], list[float]]:
    return list(losses), list(losses.values())


def main() -> None:
    parser = DigitsParser(__doc__, picture="checkpoint_resume.png")
    parser.add_argument("--steps", type=whole(20), help="steps of the run (default: 300, with --quick: 60)")
    args = parser.parse_args()
    data = head(split(parser.load(args.data_dir, args.seed), args.seed).train, IMAGES)
    args.out = parser.place(args.out)
    steps = args.steps or (60 if args.quick else 300)
    plan = Plan(args.seed, steps, every=steps // 10, change=steps // 3, kill=steps * 57 // 100)
    with tempfile.TemporaryDirectory() as folder:
        story = tell(plan, data, Path(folder))
    print_table(story)
    check_claims(plan, story)
    save(draw(plan, story), args.out)


if __name__ == "__main__":
    main()
