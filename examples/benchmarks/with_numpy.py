"""A loop over leaves in NumPy, in place: what the formulas cost without a compiler."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.benchmarks.cases import Absent, Case
from examples.benchmarks.timing import Times, turn

LR, B1, B2, EPS, DECAY = 1e-3, 0.9, 0.999, 1e-8, 1e-4
Leaf = NDArray[np.float32]


def momentum(p: Leaf, g: Leaf, s: list[Leaf], t: int) -> None:
    s[0] *= B1
    s[0] += g
    p -= LR * s[0]


def adam(p: Leaf, g: Leaf, s: list[Leaf], t: int, decay: float = 0.0) -> None:
    m, v = s
    m *= B1
    m += (1 - B1) * g
    v *= B2
    v += (1 - B2) * g * g
    p -= LR * (m / (1 - B1**t) / (np.sqrt(v / (1 - B2**t)) + EPS) + decay * p)


def adamw(p: Leaf, g: Leaf, s: list[Leaf], t: int) -> None:
    adam(p, g, s, t, DECAY)


def lion(p: Leaf, g: Leaf, s: list[Leaf], t: int) -> None:
    p -= LR * np.sign(0.9 * s[0] + 0.1 * g)
    s[0] *= 0.99
    s[0] += 0.01 * g


RULES: dict[str, tuple[Callable[[Leaf, Leaf, list[Leaf], int], None], int]] = {
    "momentum": (momentum, 1),
    "adam": (adam, 2),
    "adamw": (adamw, 2),
    "adamw + clip": (adamw, 2),
    "lion": (lion, 1),
}


class Loop:
    """Parameters, gradients and state of a rule."""

    def __init__(self, case: Case) -> None:
        if case.optimizer not in RULES or case.dtype != "float32":
            raise Absent(f"no {case.optimizer} in {case.dtype} here")
        self.rule, slots = RULES[case.optimizer]
        rng = np.random.default_rng(0)
        self.params = [rng.standard_normal(shape, np.float32) * np.float32(0.01) for shape in case.shapes]
        self.grads = [p.copy() for p in self.params]
        self.state = [[np.zeros_like(p) for _ in range(slots)] for p in self.params]
        self.clip = case.optimizer.endswith("clip")
        self.count = 0
        params = sum(p.nbytes for p in self.params)
        self.facts: dict[str, Any] = {
            "state bytes": slots * params,
            "stream bytes": case.traffic(params, slots * params),
        }

    def run(self, steps: int, seconds: float) -> Times:
        return turn(self.step, None, steps, seconds)

    def step(self) -> None:
        self.count += 1
        norm = np.sqrt(sum(float(np.vdot(g, g)) for g in self.grads)) if self.clip else 0.0
        for p, g, s in zip(self.params, self.grads, self.state, strict=True):
            self.rule(p, g if norm <= 1 else g / np.float32(norm), s, self.count)


def prepare(library: str, case: Case) -> Loop:
    """Build a case, for the rules that a few lines of NumPy say."""
    del library
    return Loop(case)
