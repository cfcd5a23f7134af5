"""Every block of Python of the documentation runs, in the order of its page, and prints what the page says."""

import contextlib
import inspect
import io

import jax
import numpy as np
import pytest

import gradtx
from tests.docs.pages import NUMBER, PAGES, ROOT, indented, name_of, programs, promised

# The README and the reference show calls, not programs: what each of their blocks takes as given.
NAMES = "import jax, jax.numpy as jnp, gradtx\n"
RUN_OF_ONE = """
tx = gradtx.adam(1e-3)
params = old_params = new_params = {"layer1": {"w": jnp.ones(2)}}
grads = updates = params
state = tx.init(params)
"""
GIVEN = {
    "README.md": """
loss_after_training = lambda tx: jnp.sum(gradtx.step(tx, jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2))[0] ** 2)
init = lambda tx: (jnp.zeros(2), tx.init(jnp.zeros(2)))
step = lambda tx, state, i: gradtx.step(tx, *state, state[0] - 1)
score = lambda state: jnp.sum((state[0] - 1) ** 2)
""",
    "docs/reference/aggregating.md": """
loss = lambda params, x: jnp.sum(params["layer1"]["w"] * x)
batch = jnp.ones((3, 2))
""",
    "docs/reference/projections.md": "",
    "docs/reference/schedules.md": f"""
{indented(inspect.getdoc(gradtx.StatefulSchedule))[0]}
loss = jnp.ones(())
tx = gradtx.inject_hyperparams(gradtx.adam)(FollowLoss())
state = tx.init(params)
""",
    "docs/reference/state.md": "new_tx = gradtx.chain(gradtx.clip_by_global_norm(1.0), gradtx.adamw(1e-3))",
}
# What these print is what the native step does.
NATIVE = ("docs/guide/native.md", "docs/guide/numerics.md")
# The tutorial's blocks are files of the project: `test_tutorial.py` makes them.
FILES = "docs/develop/add_an_optimizer.md"
RUN = [page for page in PAGES if programs(page.read_text()) and name_of(page) != FILES]


def assert_prints(got, said):
    """The same text, but for the last digits of numbers, and anything where the page has `...`."""
    assert len(got.splitlines()) == len(said.splitlines()), got
    for line, wanted in zip(got.splitlines(), said.splitlines(), strict=True):
        start, cut, _ = wanted.partition("...")
        line = line[: len(start)] if cut else line
        assert NUMBER.sub("#", line) == NUMBER.sub("#", start), f"prints {line!r}, but the page says {wanted!r}"
        numbers = [np.array(NUMBER.findall(text), float) for text in (line, start)]
        np.testing.assert_allclose(*numbers, rtol=2e-3, err_msg=line)


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_programs_of_a_page(page, monkeypatch, tmp_path):
    if name_of(page) in NATIVE and not gradtx.native.available():
        pytest.skip(f"no native step: {gradtx.native.why_not()}")
    monkeypatch.chdir(tmp_path)
    x64 = jax.config.jax_enable_x64
    space = {"__name__": "__main__"}
    try:
        for program in programs(page.read_text()):
            if name_of(page) in GIVEN:
                exec(NAMES + RUN_OF_ONE + GIVEN[name_of(page)], space)
            printed = io.StringIO()
            # The lines of the page, so that an error names the page and its line.
            code = compile("\n" * (program.line - 1) + program.text, str(page.relative_to(ROOT)), "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, space)
            if program.printed is not None:
                assert_prints(printed.getvalue(), program.printed)
            for line, said in promised(program.text):
                # Its numbers may be made up, as those that a search finds.
                assert NUMBER.sub("#", repr(eval(line, space))) == NUMBER.sub("#", said), line
    finally:
        jax.config.update("jax_enable_x64", x64)


def test_a_wrong_number_is_noticed():
    assert_prints("loss 0.46711 ...\nof 3 steps\n", "loss 0.46710 ...\nof ...\n")
    for wrong in ("loss 0.4700 ...\nof 3", "gain 0.46711 ...\nof 3", "loss 0.46711\n"):
        with pytest.raises(AssertionError):
            assert_prints(wrong, "loss 0.46711 ...\nof ...\n")


def test_what_a_comment_says_is_found():
    program = "tx = 3\ntx  # adam(learning_rate=0.1)\ntx + 1  # one more (not a call)\n    tx  # f(1)\nx = tx  # f(2)\n"
    assert promised(program) == [("tx", "adam(learning_rate=0.1)")]
    assert sum(len(promised(block.text)) for page in RUN for block in programs(page.read_text())) >= 2
