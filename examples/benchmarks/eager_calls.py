"""The calls of the eager table: each as Optax spells it, of gradtx, of gradtx.compat.optax and of Optax."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

import gradtx
import gradtx.compat.optax as compat

Call: TypeAlias = Callable[[], Any]
Find: TypeAlias = Callable[[str], Any]
"""A library: its functions by Optax's names, `"contrib.muon"` or `"tree.norm"`."""

COUNTS = (10, 100)
PARTS = (gradtx, gradtx.losses, gradtx.projections, gradtx.numerics, gradtx.assignment)
RENAMED = {
    "MultiSteps": "accumulate", "add_scale": "tree_add_scaled", "allclose": "tree_allclose", "dtype": "tree_dtype",
    "max": "tree_max", "min": "tree_min", "norm": "tree_norm", "random_like": "tree_random_like",
    "scale_by_learning_rate": "scale_by_lr", "size": "tree_size", "split_key_like": "tree_split_key",
    "stateless_with_tree_map": "stateless_leafwise", "sum": "tree_total", "trace": "scale_by_momentum",
    "vdot": "tree_vdot",
}  # fmt: skip
OTHERWISE = ("named_chain", "contrib.sam", "second_order.hvp", "tree.cast")
"""What gradtx has with other arguments, so that there is nothing to compare."""


class Row(NamedTuple):
    """A call, and how it is made of a library; that may have none such, which is an AttributeError."""

    name: str
    make: Callable[[Find], Call]


class Case(NamedTuple):
    """A transformation: how it is built, and what its update is given besides."""

    make: Callable[[Find], Any]
    extra: Mapping[str, Any] = MappingProxyType({})


def in_modules(module: Any) -> Find:
    """The functions of Optax, or of what has its modules."""

    def find(name: str) -> Any:
        found = module
        for part in name.split("."):
            found = getattr(found, part)
        return found

    return find


def in_gradtx(name: str) -> Any:
    """The functions of gradtx, which has another layout."""
    part, _, last = name.rpartition(".")
    if name in OTHERWISE or (part == "tree" and last not in RENAMED):
        raise AttributeError(name)
    last = RENAMED.get(last, last)
    return next(getattr(module, last) for module in (*PARTS, None) if module is None or hasattr(module, last))


SPELLINGS: dict[str, Find] = {"gradtx": in_gradtx, "compat": in_modules(compat)}
OPTAX = in_modules(optax)


def case(name: str, *args: Any, extra: dict[str, Any] | None = None, **kwargs: Any) -> tuple[str, Case]:
    """The case of a maker that is called with the same arguments everywhere."""
    return name, Case(lambda find: find(name)(*args, **kwargs), extra or {})


def around(name: str, *args: Any, inner: str = "adam", label: str = "") -> tuple[str, Case]:
    """The case of a wrapper of an optimizer."""
    return label or name, Case(lambda find: find(name)(find(inner)(1e-3), *args))


def value(p: Any) -> Any:
    """A loss."""
    return sum(jnp.sum((x - 0.2) ** 2) for x in jax.tree.leaves(p))


def users_rule(g: Any, p: Any) -> Any:
    """A rule of a user's."""
    return -0.1 * jnp.sign(g) * jnp.sqrt(jnp.abs(g)) + 0.01 * p


def users_schedule(step: Any) -> Any:
    """A schedule of a user's."""
    return 1e-3 * 0.9 ** jnp.asarray(step, jnp.float32)


LOSS = {"value": jnp.float32(0.5)}
LARGE = lambda p: jax.tree.map(lambda x: x.ndim > 0, p)

MANY: dict[str, Case] = dict(
    [
        case("sgd", 0.1),
        ("momentum", Case(lambda find: find("sgd")(0.1, momentum=0.9))),
        case("adam", 1e-3),
        case("adamw", 1e-3),
        ("adam, cosine", Case(lambda find: find("adam")(find("cosine_decay_schedule")(1e-3, 100)))),
        case("lion", 1e-3),
        case("rmsprop", 1e-3),
        ("a user's rule", Case(lambda find: find("stateless_with_tree_map")(users_rule))),
        ("adam, a user's schedule", Case(lambda find: find("adam")(users_schedule))),
        ("clip, adamw", Case(lambda find: find("chain")(find("clip_by_global_norm")(1.0), find("adamw")(1e-3)))),
        around("masked", LARGE, label="masked adam"),
        around("MultiSteps", 2, inner="sgd", label="every 2nd, sgd"),
        case("contrib.muon", 1e-3),
        around("contrib.schedule_free", 0.1, inner="sgd"),
    ]
)
"""Measured at all numbers of leaves."""

BY_RATE = """
    adabelief adadelta adafactor adagrad adamax adamaxw adan amsgrad fromage lamb lars nadam nadamw novograd
    optimistic_adam_v2 optimistic_gradient_descent radam rprop sign_sgd signum sm3 yogi contrib.acprop
    contrib.ademamix contrib.adopt contrib.madgrad contrib.galore contrib.simplified_ademamix
    contrib.schedule_free_sgd contrib.schedule_free_adamw
"""
AS_THEY_ARE = """
    contrib.cocob contrib.dadapt_adamw contrib.dog contrib.dowg contrib.prodigy centralize identity
    keep_params_nonnegative normalize_by_update_norm zero_nans set_to_zero scale_by_factored_rms
    scale_by_param_block_norm scale_by_param_block_rms scale_by_adam scale_by_rms scale_by_rss scale_by_stddev
    scale_by_trust_ratio scale_by_sign scale_by_distance_over_gradients scale_by_lbfgs contrib.normalize
"""
FEW: dict[str, Case] = dict(
    [
        *(case(name, 1e-3) for name in BY_RATE.split()),
        *(case(name) for name in AS_THEY_ARE.split()),
        *(
            case(name, extra=LOSS)
            for name in ("contrib.momo", "contrib.momo_adam", "contrib.reduce_on_plateau", "scale_by_polyak")
        ),
        *(
            case(name, 0.1)
            for name in ("adaptive_grad_clip", "add_decayed_weights", "clip", "clip_by_block_rms")
            + ("clip_by_global_norm", "ema", "scale", "scale_by_learning_rate", "trace")
        ),
        case("optimistic_adam", 1e-3, 1e-3),
        case("noisy_sgd", 0.1, key=3),
        case("polyak_sgd", 0.1, extra=LOSS),
        case("add_noise", 0.1, 0.5, 3),
        case("apply_every", 2),
        case("freeze", True),
        around("apply_if_finite", 3),
        around("flatten"),
        around("conditionally_transform", lambda step: step > 1, inner="scale"),
        around("contrib.mechanize", inner="sgd"),
        around("contrib.split_real_and_imaginary"),
        ("contrib.sam", Case(lambda find: find("contrib.sam")(find("sgd")(0.1), find("sgd")(0.1)))),
        ("inject_hyperparams", Case(lambda find: find("inject_hyperparams")(find("adam"))(1e-3))),
        ("scale_by_schedule", Case(lambda find: find("scale_by_schedule")(find("linear_schedule")(1.0, 0.0, 9)))),
        ("lbfgs without a search", Case(lambda find: find("lbfgs")(0.1, linesearch=None))),
    ]
)
"""Measured at the smallest number of leaves."""


def transformations() -> Iterator[Row]:
    """`init` and `update` of optimizers and of other transformations, and what goes with them."""
    for count in COUNTS:
        tree, label = {f"layer {k}": jnp.full((8, 8), 0.1) for k in range(count)}, f"{count} leaves"
        for name, of in (MANY | FEW if count == COUNTS[0] else MANY).items():

            def init(find: Find, of: Case = of, tree: Any = tree) -> Call:
                return partial(of.make(find).init, tree)

            def update(find: Find, of: Case = of, tree: Any = tree) -> Call:
                tx = of.make(find)
                return partial(tx.update, tree, tx.init(tree), tree, **of.extra)

            yield Row(f"init {name}, {label}", init)
            yield Row(f"update {name}, {label}", update)
        yield Row(f"apply_updates, {label}", lambda find, t=tree: partial(find("apply_updates"), t, t))
        yield Row(f"tree.norm, {label}", lambda find, t=tree: partial(find("tree.norm"), t))


def searches() -> Iterator[Row]:
    """Line searches, which are given a function."""
    p = {"a": jnp.linspace(-1, 1, 64), "b": jnp.linspace(0, 1, 8)}
    v, g = jax.value_and_grad(value)(p)
    after_sgd: Any = lambda name, **kwargs: lambda find: find("chain")(find("sgd")(0.5), find(name)(15, **kwargs))
    makes = {
        "backtracking": after_sgd("scale_by_backtracking_linesearch"),
        "backtracking, gradient kept": after_sgd("scale_by_backtracking_linesearch", store_grad=True),
        "zoom": after_sgd("scale_by_zoom_linesearch"),
        "lbfgs": lambda find: find("lbfgs")(),
    }
    for name, make in makes.items():

        def update(find: Find, make: Any = make) -> Call:
            tx = make(find)
            return partial(tx.update, g, tx.init(p), p, value=v, grad=g, value_fn=value)

        yield Row(f"init {name}", lambda find, make=make: partial(make(find).init, p))
        yield Row(f"update {name}", update)


def schedules() -> Iterator[Row]:
    """Schedules at one step."""
    step, cycle = jnp.asarray(3, jnp.int32), dict(init_value=0.0, peak_value=1.0, warmup_steps=2, decay_steps=5)
    makes: dict[str, tuple[Any, ...]] = {
        "constant_schedule": (0.1,), "linear_schedule": (1.0, 0.0, 10), "cosine_decay_schedule": (1.0, 10),
        "exponential_decay": (1.0, 10, 0.5), "piecewise_constant_schedule": (1.0, {3: 0.5, 6: 0.1}),
        "polynomial_schedule": (1.0, 0.0, 2, 10), "warmup_cosine_decay_schedule": (0.0, 1.0, 3, 10),
        "warmup_constant_schedule": (0.0, 1.0, 5), "warmup_exponential_decay_schedule": (0.0, 1.0, 3, 5, 0.5),
        "cosine_onecycle_schedule": (10, 1.0), "linear_onecycle_schedule": (10, 1.0),
        "piecewise_interpolate_schedule": ("linear", 1.0, {3: 0.5, 6: 0.1}), "sgdr_schedule": ([cycle],),
    }  # fmt: skip
    for name, given in makes.items():
        yield Row(name, lambda find, n=name, given=given: partial(find(n)(*given), step))
    parts: Any = lambda find: [find("linear_schedule")(0.0, 1.0, 5), find("cosine_decay_schedule")(1.0, 10)]
    yield Row("join_schedules", lambda find: partial(find("join_schedules")(parts(find), [5]), step))
