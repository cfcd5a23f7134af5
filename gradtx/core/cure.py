"""What to write for arguments that makers had once."""

from typing import Any

from gradtx.core.typing import Arguments


def cure(make: Any, args: tuple[Any, ...], kwargs: Arguments) -> str:
    """What to write for an argument of version 0.1.0 that no maker has any more: the dtype of a slot."""
    asked = {name: x for name, x in kwargs.items() if name.endswith("_dtype") and name not in make.parameters}
    if not asked:
        return ""
    try:
        slots = make(*args, **{name: x for name, x in kwargs.items() if name not in asked}).slot_names()
    except (TypeError, ValueError):  # something else is wrong, too
        slots = ()
    named = {name.removesuffix("_dtype"): x for name, x in asked.items()}
    if len(slots) == len(named) == 1:
        named = dict(zip(slots, named.values(), strict=True))
    if not slots:
        return ""
    told = ", ".join(f"{name}={x!r}" for name, x in named.items() if name in slots) or f"{slots[0]}=..."
    return f"; by the names of its slots, {', '.join(slots)}: gradtx.stored(gradtx.{make.__name__}(...), {told})"
