"""gradtx and Optax: one jitted step with donated parameters and state."""

import os
import re
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import gradtx
from examples.benchmarks.cases import Case
from examples.benchmarks.libraries import LIBRARIES, on_huge_pages
from examples.benchmarks.timing import Times, turn

LR = 1e-3
ADAM_BYTES = {"float32": 28, "bfloat16": 22}  # that the loop without maths moves for each parameter


def is_optax(library: str) -> bool:
    return library.startswith("optax")


def optimizer(library: str, name: str) -> Any:
    """The optimizer, from gradtx or from Optax."""
    if not is_optax(library):
        makers: dict[str, Callable[[], Any]] = {
            "momentum": lambda: gradtx.sgd(LR, 0.9),
            "adam": lambda: gradtx.adam(LR),
            "adamw": lambda: gradtx.adamw(LR),
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
        "adamw": lambda: optax.adamw(LR),
        "adamw + clip": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(LR)),
        "lion": lambda: optax.lion(LR),
        "adafactor": lambda: optax.adafactor(LR),
        "muon": lambda: optax.contrib.muon(LR),
    }
    return makers[name]()


def stepper(library: str, tx: Any) -> Callable[..., Any]:
    """`(params, state, grads) -> (params, state)`."""
    if not is_optax(library):
        return lambda params, state, grads: gradtx.step(tx, params, state, grads)
    import optax

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


def equations(jaxpr: Any) -> int:
    """How many equations a jaxpr has, with those of the jaxprs inside, at each place where they are used."""
    return sum(1 + sum(map(equations, inside(equation.params))) for equation in jaxpr.eqns)


def inside(params: dict[str, Any]) -> list[Any]:
    """The jaxprs among the parameters of an equation."""
    is_jaxpr = lambda x: hasattr(x, "eqns")
    return [x for x in jax.tree.leaves(list(params.values()), is_leaf=is_jaxpr) if is_jaxpr(x)]


class Jitted:
    """A compiled step and its arguments."""

    def __init__(self, library: str, case: Case) -> None:
        tx = optimizer(library, case.optimizer)
        keys = jax.random.split(jax.random.key(0), len(case.shapes))
        draw = lambda key, shape: 0.01 * jax.random.normal(key, shape, case.dtype)
        leaves = [draw(key, shape) for key, shape in zip(keys, case.shapes, strict=True)]
        self.grads: Any = jax.tree.map(jnp.copy, leaves)
        self.params: Any = gradtx.pack(leaves) if library == "gradtx packed" else leaves
        wide = library == "optax float32 state"
        self.state: Any = tx.init(jax.tree.map(lambda x: x.astype(jnp.float32), leaves) if wide else self.params)
        self.dtype: Any = case.dtype
        self.limited = LIBRARIES[library].limit == library and gradtx.native.available()
        self.compiled: Any
        self.facts = self.build(stepper(library, tx)) | self.sizes(case)

    def build(self, step: Callable[..., Any]) -> dict[str, Any]:
        """Compile it: the seconds that takes, and what comes out."""
        start = time.perf_counter()
        traced = jax.jit(step, donate_argnums=(0, 1)).trace(self.params, self.state, self.grads)
        middle = time.perf_counter()
        lowered = traced.lower()
        late = time.perf_counter()
        self.compiled = lowered.compile()
        end = time.perf_counter()
        text = self.compiled.as_text()
        return {
            "trace": middle - start,
            "lower": late - middle,
            "compile": end - late,
            "equations": equations(traced.jaxpr),
            "fusions": len(re.findall(r"\bfusion\(", text)),
            "kernels": len(re.findall(r"\b(?:fusion|custom-call)\(", text)),
            "native calls": text.count('custom_call_target="gradtx_step'),
            "temporary bytes": self.compiled.memory_analysis().temp_size_in_bytes,
        }

    def sizes(self, case: Case) -> dict[str, Any]:
        params, state = (sum(x.nbytes for x in jax.tree.leaves(tree)) for tree in (self.params, self.state))
        return {"state bytes": state, "stream bytes": case.traffic(params, state)}

    def run(self, steps: int, seconds: float) -> Times:
        """The steps of a turn; and what the memory allows in the same minute."""
        times = turn(self.step, lambda: jax.block_until_ready(self.params), steps, seconds)
        return times | ({"limit": self.limit(len(times["seconds"]))} if self.limited else {})

    def step(self) -> None:
        self.params, self.state = self.compiled(self.params, self.state, self.grads)

    def limit(self, repeats: int) -> list[float]:
        """Seconds of a loop without maths, by as many threads, that is as long as the step has bytes to move."""
        count, threads = self.facts["stream bytes"] // ADAM_BYTES[self.dtype], os.cpu_count() or 1
        return gradtx.native.pass_seconds(
            count, dtype=self.dtype, threads=threads, huge_pages=on_huge_pages(), repeats=repeats
        )


def prepare(library: str, case: Case) -> Jitted:
    """Compile a case."""
    return Jitted(library, case)
