"""Coded arrays in flat dictionaries: the codes, the scales and, in words, the codec, below the name of each."""

import json
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from gradtx.core.codecs import blocks, logarithm
from gradtx.core.codecs.coded import Codec, Coded, kind
from gradtx.core.typing import Array

MAKERS = {make.__name__: make for make in (blocks.int8, blocks.int4, blocks.float8, logarithm.log8, logarithm.log4)}


def as_entries(name: str, x: Coded) -> dict[str, Array]:
    """The arrays of a coded one, and what its codec is, by name."""
    known = x.kind
    codec = {"name": known.codec.name, **known.codec.arguments}
    words = {"codec": codec, "positive": known.positive, "dtype": str(known.dtype), "last": known.last}
    text = np.frombuffer(json.dumps(words, default=str).encode(), np.uint8)
    return {f"{name}/{part}": _in_bytes(y) for part, y in x.arrays.items()} | {f"{name}/codec": jnp.asarray(text)}


def _in_bytes(x: Array) -> Array:
    """Codes of 4 bits in a byte each: files do not know their dtypes. They are decoded, and restored, from either."""
    small = {jnp.dtype(jnp.int4): jnp.int8, jnp.dtype(jnp.uint4): jnp.uint8}
    return x.astype(small[x.dtype]) if x.dtype in small else x


def from_entries(saved: Mapping[str, Any]) -> dict[str, Any]:
    """What was saved, with the arrays of each coded one together as that.

    Raises:
        ValueError: a codec that is not known here, by the array's name.
    """
    whole: dict[str, Any] = {}
    for name in [name.removesuffix("/codec") for name in saved if _is_codec(name, saved)]:
        parts = {key.removeprefix(f"{name}/"): x for key, x in saved.items() if key.startswith(f"{name}/")}
        whole[name] = _coded(name, parts)
    below = tuple(f"{name}/" for name in whole)
    return {name: x for name, x in saved.items() if not name.startswith(below)} | whole if whole else dict(saved)


def _is_codec(name: str, saved: Mapping[str, Any]) -> bool:
    """Whether it says what a codec is, rather than belong to a parameter of that name."""
    has_codes = name.endswith("/codec") and f"{name.removesuffix('codec')}codes" in saved
    return has_codes and getattr(saved[name], "dtype", None) == np.uint8


def _coded(name: str, parts: dict[str, Any]) -> Coded:
    try:
        words = json.loads(np.asarray(parts.pop("codec")).astype(np.uint8).tobytes())
        made: Codec = MAKERS[words["codec"].pop("name")](**words["codec"])
        known = kind(made, bool(words["positive"]), jnp.dtype(words["dtype"]), words["last"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"restore: {name}/codec is no codec that is known here: {error}") from error
    return Coded({part: jnp.asarray(x) for part, x in parts.items()}, known)
