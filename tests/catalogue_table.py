"""The table of everything in the catalogue, as docs/reference/catalogue.md shows it.

`python -m tests.catalogue_table` writes the page; tests/test_catalogue_table.py fails when it is not true any more.
"""

import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp

import gradtx
from gradtx.core.transformation import GradientTransformation
from gradtx.core.values import Maker
from tests.catalogue import ROWS

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "catalogue.md"
PACKAGES = ["transforms", "optimizers", "search", "combine", "wrappers", "core"]
SIDE = 512
INTRO = """---
hide: [toc]
---

# Catalogue

Every transformation of gradtx. *Memory* is what its state keeps for each float32 parameter of a 512 × 512 matrix, in
values of 4 bytes, with the arguments of its first row in the test catalogue (`rmsprop` has momentum there, `sgd` has
not); *needs* is what `update` must be given besides updates and state. The table is generated from the test catalogue,
and a test keeps it true. `dpsgd` and `differentially_private_aggregate`, which take the gradient of each example, are
under [Privacy](privacy.md).
"""


def rows():
    """One row per public maker: what is of one package together, and in it what is of one family."""
    first = {}
    for row in ROWS:
        first.setdefault(row.tx.name, row)
    public = [row for name, row in first.items() if isinstance(getattr(gradtx, name, None), Maker)]
    return sorted(public, key=lambda row: PACKAGES.index(row.tx.maker.__module__.split(".")[1]))


def has_inner(tx):
    """Whether an argument is a transformation, whose memory would be counted too."""
    is_inner = lambda x: isinstance(x, GradientTransformation)
    return any(map(is_inner, jax.tree.leaves(tx.arguments, is_leaf=is_inner)))


def memory(tx):
    """State values per parameter, of 4 bytes each."""
    if has_inner(tx):
        return "the inner's"
    state = jax.eval_shape(tx.init, {"w": jax.ShapeDtypeStruct((SIDE, SIDE), jnp.float32)})
    sizes = [x.size * x.dtype.itemsize for x in jax.tree.leaves(state) if jnp.issubdtype(x.dtype, jnp.number)]
    values = sum(sizes) / 4 / SIDE**2
    return f"{values:.2f}".rstrip("0").rstrip(".")


def needs(row):
    """Arguments without which `update` is refused, found by leaving them out."""
    grads = {"w": jnp.ones((4, 3))}
    offered = {"params": grads, **(row.extra(grads, grads) if row.extra else {})}
    given = {}
    for _ in range(len(offered) + 1):
        try:
            jax.eval_shape(lambda g: row.tx.update(g, row.tx.init(g), **given), grads)
        except (TypeError, ValueError) as error:
            name = re.search(r"needs (\w+)", str(error))
            if not name or name[1] in given:
                raise
            given[name[1]] = offered[name[1]]
        else:
            break
    return ", ".join(given)


def source(name, depth=2):
    """What the docstring says after Source:, or that of the transformation it says to see."""
    doc = inspect.getdoc(getattr(gradtx, name)) or ""
    found = re.search(r"Source: (.*?)(?:\n\s*\n|\n\w+:|\Z)", doc, re.DOTALL)
    if found:
        text = " ".join(found[1].split())
        text = re.split(r"(?i)[;.] ?(?:differs|the |its |pytorch|our|optax|derivatives|until)", text)[0]
        return re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", text.rstrip(". "))
    other = re.search(r"[Ss]ee `(\w+)`", doc.split("\n\nArgs:")[0])
    known = other and depth and isinstance(getattr(gradtx, other[1], None), Maker)
    return source(other[1], depth - 1) if known else ""


def line(row):
    """One row of the table."""
    summary = (inspect.getdoc(getattr(gradtx, row.tx.name)) or "").splitlines()[0].replace("|", "\\|")
    link = f"[`{row.tx.name}`][{row.tx.maker.__module__}.{row.tx.name}]"
    cells = (link, summary, memory(row.tx), needs(row), source(row.tx.name))
    return "| " + " | ".join(cells) + " |"


def is_optimizer(tx):
    """Whether it ends in the learning rate, or needs none: by where it lives and what it is called."""
    package = tx.maker.__module__.split(".")[1]
    whole = package == "optimizers" or (package in ("search", "wrappers") and "learning_rate" in tx.arguments)
    return whole and not tx.name.startswith("scale_by_")


def page():
    """The whole page."""
    makers = rows()
    optimizers = [row for row in makers if is_optimizer(row.tx)]
    others = [row for row in makers if row not in optimizers]
    out = [INTRO]
    for title, members in (("Optimizers", optimizers), ("Transformations and combinators", others)):
        out += [f"## {title}\n", "| name | what it does | memory | needs | source |", "|---|---|---|---|---|"]
        out += [*(line(row) for row in members), ""]
    return "\n".join(out)


if __name__ == "__main__":
    PAGE.write_text(page())
