"""gradtx and Optax: one jitted step with donated parameters and state."""

import os
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from examples.benchmarks.cases import Case

LR = 1e-3


def optimizer(library: str, name: str) -> Any:
    """The optimizer, from gradtx or from Optax."""
    if library != "optax":
        makers: dict[str, Callable[[], Any]] = {
            "momentum": lambda: gradtx.sgd(LR, 0.9),
            "adam": lambda: gradtx.adam(LR),
            "adamw + clip": lambda: gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(LR)),
            "lion": lambda: gradtx.lion(LR),
            "adafactor": lambda: gradtx.adafactor(LR),
            "muon": lambda: gradtx.muon(LR),
        }
        return makers[name]()
    import optax

    makers = {
        "momentum": lambda: optax.sgd(LR, 0.9),
        "adam": lambda: optax.adam(LR),
        "adamw + clip": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(LR)),
        "lion": lambda: optax.lion(LR),
        "adafactor": lambda: optax.adafactor(LR),
        "muon": lambda: optax.contrib.muon(LR),
    }
    return makers[name]()


def stepper(library: str, tx: Any) -> Callable[..., Any]:
    """`(params, state, grads) -> (params, state)`."""
    if library != "optax":
        return lambda params, state, grads: gradtx.step(tx, params, state, grads)
    import optax

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


class Jitted:
    """A compiled step and its arguments."""

    def __init__(self, library: str, case: Case) -> None:
        tx = optimizer(library, case.optimizer)
        keys = jax.random.split(jax.random.key(0), len(case.shapes))
        draw = lambda key, shape: 0.01 * jax.random.normal(key, shape, case.dtype)
        leaves = [draw(key, shape) for key, shape in zip(keys, case.shapes, strict=True)]
        grads = jax.tree.map(jnp.copy, leaves)
        packed = library == "gradtx packed"
        self.limited = library == "gradtx" and gradtx.native.available()
        self.params: Any = gradtx.pack(leaves) if packed else leaves
        self.grads: Any = grads
        self.state: Any = tx.init(self.params)
        step = stepper(library, tx)
        start = time.perf_counter()
        traced = jax.jit(step, donate_argnums=(0, 1)).trace(self.params, self.state, self.grads)
        middle = time.perf_counter()
        lowered = traced.lower()
        late = time.perf_counter()
        self.compiled: Any = lowered.compile()
        end = time.perf_counter()
        memory = self.compiled.memory_analysis()
        sizes = [sum(x.nbytes for x in jax.tree.leaves(tree)) for tree in (self.params, self.state, self.grads)]
        self.facts: dict[str, Any] = {
            "version": f"{version(library.split()[0])} (jax {jax.__version__})",
            "trace": middle - start,
            "lower": late - middle,
            "compile": end - late,
            "kernels": len(re.findall(r"\b(?:fusion|custom-call)\(", self.compiled.as_text())),
            "state bytes": sizes[1],
            "temporary bytes": memory.temp_size_in_bytes,
            "stream bytes": 2 * sizes[0] + 2 * sizes[1] + sizes[2],
        }

    def run(self, steps: int) -> dict[str, list[float]]:
        """Seconds of each step, and until each call returns; and what the memory allows in the same minute."""
        seconds: list[float] = []
        dispatch: list[float] = []
        for _ in range(steps):
            start = time.perf_counter()
            self.params, self.state = self.compiled(self.params, self.state, self.grads)
            dispatch.append(time.perf_counter() - start)
            jax.block_until_ready(self.params)
            seconds.append(time.perf_counter() - start)
        times = {"seconds": seconds, "dispatch": dispatch}
        return times | ({"limit": self.limit(steps)} if self.limited else {})

    def limit(self, repeats: int) -> list[float]:
        """Seconds of the same traffic without maths, by as many threads: 28 bytes a pass for each element."""
        count = self.facts["stream bytes"] // 28
        return gradtx.native.pass_seconds(count, threads=os.cpu_count() or 1, repeats=repeats)


def prepare(library: str, case: Case) -> Jitted:
    """Compile a case."""
    return Jitted(library, case)
