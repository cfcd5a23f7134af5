"""An optimizer as its direction, a learning rate and a decay: what it shares with the direction is written there."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, cast

from gradtx.combine.chain import chain
from gradtx.combine.descend import descend
from gradtx.core.arguments import shown
from gradtx.core.docstring import Docstring, completed, parsed, written
from gradtx.core.transformation import GradientTransformation, transformation
from gradtx.core.typing import Arguments
from gradtx.core.values import Maker
from gradtx.transforms.decay import WeightDecay, decoupled, kind_of

P = ParamSpec("P")

OWN = {
    "learning_rate": "eta >= 0, a number or a schedule.",
    "weight_decay": "None, a strength ({}), or a kind such as `{}(1e-4)`; see `descend`.",
}
"""The arguments that an optimizer has and its direction has not, and what is said of them."""


def optimizer(
    *directions: Callable[..., GradientTransformation],
    strength: Callable[[Any], WeightDecay] = decoupled,
    **fixed: Any,
) -> Callable[[Callable[P, object]], Callable[P, GradientTransformation]]:
    """Turn a signature into a maker of optimizers that follow a direction; what it shares with that is written there.

        @gradtx.optimizer(scale_by_power_sign)
        def power_sign(learning_rate: gradtx.NonNegative, b1: gradtx.Decay = 0.9, power: gradtx.NonNegative = 1.0):
            \"\"\"PowerSign: theta <- theta - eta u.\"\"\"

    A function that is a docstring alone makes `descend(direction, learning_rate, weight_decay)`, where the direction
    gets the other arguments by name; several directions are a `chain`, and each gets those it has. A function with a
    body makes what that returns, as with `transformation`. The maker's docstring has what the function's says, and
    from the directions' what it leaves out: the arguments' lines, State, Raises and Source.

    Args:
        *directions: makers such as `scale_by_adam`, in the order in which they act.
        strength: the kind of decay that a `weight_decay` of a number is the strength of, such as `coupled`.
        **fixed: arguments of the directions that the optimizer has not, and their values; a maker is a value that is
            made anew, of the arguments that it has.

    Raises:
        TypeError: an argument has another annotation than the direction's; or, without a body, a direction has an
            argument that is neither here nor fixed, or there is one here that none has.
    """
    for direction in directions:
        if not isinstance(direction, Maker):
            raise TypeError(f"optimizer: directions must be makers such as scale_by_adam, got {shown(direction)}")

    makers = cast("tuple[Maker, ...]", (*directions, *(x for x in fixed.values() if isinstance(x, Maker))))

    def decorate(body: Callable[P, object]) -> Callable[P, GradientTransformation]:
        made = cast(Maker, transformation(cast(Any, _following(body, makers, len(directions), fixed, strength))))
        _check_annotations(made, makers)
        made.__doc__ = completed(written(_documented(made, makers, strength.__name__)), made.parameters)
        return cast(Any, made)

    return decorate


def _following(
    body: Callable[..., Any], makers: tuple[Maker, ...], count: int, fixed: Arguments,
    strength: Callable[[Any], WeightDecay],
) -> Callable[..., Any]:  # fmt: skip
    """The body itself, where there is one; else what follows the directions, which are the first `count` makers."""
    code = body.__code__
    if code.co_names or code.co_freevars:  # a body that reads no name makes nothing
        return body
    names = code.co_varnames[: code.co_argcount]
    _check_names(body.__name__, {*code.co_varnames}, makers, fixed)
    directions, settled = (
        makers[:count],
        tuple(fixed.items()),
    )  # nothing that may change, so that programs can be kept by it

    @functools.wraps(body)
    def follow(*args: Any, **kwargs: Any) -> GradientTransformation:
        given = dict(zip(names, args, strict=True)) | kwargs | dict(settled)
        decay = kind_of(given.pop("weight_decay", None), strength)
        made = lambda make: make(**{name: given[name] for name in make.parameters if name in given})
        given |= {name: made(x) for name, x in settled if isinstance(x, Maker)}
        links = list(map(made, directions))
        return descend(links[0] if len(links) == 1 else chain(*links), given["learning_rate"], decay)

    return follow


def _check_names(name: str, own: set[str], directions: tuple[Maker, ...], fixed: Arguments) -> None:
    theirs = {argument for make in directions for argument in make.parameters}
    if "learning_rate" not in own:
        raise TypeError(f"{name}: wanted an argument learning_rate, or a body that makes the optimizer")
    if strange := sorted((own | set(fixed)) - theirs - set(OWN)):
        raise TypeError(f"{name}: {', '.join(strange)}: no argument of {_listed(directions)}")
    if missing := sorted(theirs - own - set(fixed)):
        raise TypeError(f"{name}: {', '.join(missing)} of {_listed(directions)}: wanted an argument or a fixed value")


def _check_annotations(made: Maker, directions: tuple[Maker, ...]) -> None:
    for direction in directions:
        for name in set(made.parameters) & set(direction.parameters) - set(OWN):
            here, there = made.parameters[name], direction.parameters[name]
            if here.annotation != there.annotation:
                raise TypeError(
                    f"{made.__name__}: {name} is {here.accepts.wanted}, in `{direction.__name__}` "
                    f"{there.accepts.wanted}: wanted the same annotation"
                )


def _documented(made: Maker, directions: tuple[Maker, ...], strength: str) -> Docstring:
    """What is said of an optimizer: by itself, then by its directions, then of every optimizer."""
    own, theirs = parsed(made.body.__doc__), {make.__name__: parsed(make.__doc__) for make in directions}
    kinds = (strength, "decoupled" if strength == "coupled" else "coupled")
    lines = {name: line.format(*kinds) for name, line in OWN.items()}
    lines |= {name: line for doc in reversed(theirs.values()) for name, line in doc.arguments.items()}
    lines |= own.arguments
    arguments = {name: lines[name] for name in made.parameters if name in lines}
    sections: dict[str, str] = {}
    for name, doc in reversed(theirs.items()):
        sections |= {header: doc.sections[header] for header in ("Raises", "Source") if header in doc.sections}
        if "State" in doc.sections:
            kept = doc.sections["State"]
            sections["State"] = kept if kept.startswith(" none") else f" that of `{name}` in a tuple:{kept}"
    if "Source:" in own.text:
        sections.pop("Source", None)
    seen = any(f"`{name}`" in own.text for name in theirs)
    text = own.text if seen else f"{own.text}\n\nSee {_listed(directions)}."
    return Docstring(text, arguments, sections | own.sections)


def _listed(directions: tuple[Maker, ...]) -> str:
    return " and ".join(f"`{make.__name__}`" for make in directions)
