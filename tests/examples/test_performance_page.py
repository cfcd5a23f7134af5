"""The pages on performance: true to their record, and right about what is reached, whatever was measured."""

import re

import pytest

pytest.importorskip("matplotlib")

from PIL import Image

from examples.benchmarks import page
from examples.benchmarks.cases import Case
from examples.benchmarks.headline import draw_headline, headline_path, on_model, sentences
from examples.benchmarks.pictures import build_path, draw, growth
from examples.benchmarks.reach import TARGETS, Target, outcome, reach_table, row, summary
from examples.benchmarks.record import Measured, Record, load
from examples.benchmarks.report import absent, load_line, table


def result(seconds, build=1.0, kernels=10, limit=None, stream=28_000_000):
    """What a library that is compiled reports."""
    return {
        "trace": build / 2, "lower": build / 4, "compile": build / 4, "equations": 1234, "fusions": kernels,
        "kernels": kernels, "native calls": 0, "state bytes": 8_000_000, "temporary bytes": 400, "stream bytes": stream,
        "seconds": seconds, "pipelined": seconds / 2, "dispatch": 1e-5, "quartiles": [seconds, seconds],
    } | ({"limit": limit} if limit else {})  # fmt: skip


def eager(seconds):
    return {"state bytes": 8_000_000, "stream bytes": 28_000_000, "seconds": seconds, "pipelined": seconds}


def measured(workload, optimizer, dtype="float32", size=1.0, **results):
    named = {name.replace("_", " "): value for name, value in results.items()}
    return Measured(Case(workload, optimizer, size, dtype), [0.5, 2.25], named)


RECORD = Record(
    {"processor": "a processor", "cores": "2", "jax": "0.10.2"},
    [
        measured(
            "one leaf", "adam", gradtx=result(0.010, limit=0.0095), optax=result(0.016), torch_fused=eager(0.0105),
            gradtx_huge_pages=result(0.009, limit=0.0085), torch_fused_huge_pages=eager(0.0088),
        ),
        measured("gpt2", "adam", size=0.5, gradtx=result(0.010, limit=0.0080), optax=result(0.012)),
        measured("gpt2", "adam", size=0.25, gradtx=result(0.010), optax=result(0.001)),
        measured(
            "one leaf", "adam", "bfloat16", gradtx=result(0.010, stream=22_000_000, limit=0.0095),
            optax=result(0.005, stream=14_000_000), optax_float32_state=result(0.020, stream=22_000_000),
        ),
        measured(
            "1000 leaves", "adamw + clip", gradtx=result(0.006, build=5, kernels=300), optax=result(0.006, 9, 7000),
            gradtx_packed=result(0.0005, 0.75, 10), torch_fused={"absent": "a reason"},
        ),
        measured("10 leaves", "adamw + clip", gradtx=result(0.001, 0.5), optax=result(0.001, 0.6)),
        measured("mlp", "lion", gradtx={"absent": "a reason"}, torch_fused={"absent": "PyTorch has no fused lion"}),
    ],
)  # fmt: skip


def rows():
    """What the table of targets says, by target."""
    return {target.name: row(target, RECORD) for target in TARGETS}


def test_reach_of_a_build():
    assert rows()["build, 1,000 leaves: gradtx / Optax"][1:] == [
        "at most 33.3%", "55.6%", "1000 leaves, adamw + clip, float32", "missed by 66.7%, in 1 of 1"
    ]  # fmt: skip
    assert rows()["build, 1,000 leaves: gradtx packed / Optax"][-1] == "reached in 1 of 1"
    assert rows()["kernels, 1,000 leaves: gradtx / Optax"][2] == "4.3%"


def test_reach_takes_the_largest_size_and_the_worst_case():
    assert rows()["step, float32: optax / gradtx"][1:] == [
        "at least 1.50 times", "1.20 times", "gpt2 × 0.5, adam, float32", "missed by 20.0%, in 1 of 2"
    ]  # fmt: skip
    assert rows()["step: gradtx / Optax"][2:] == [
        "1000.0%", "gpt2 × 0.25, adam, float32", "missed by 900.0%, in 1 of 6"
    ]  # fmt: skip


def test_reach_beside_torch_and_the_limit():
    assert rows()["step, float32: torch fused / gradtx"][-1] == "reached in 1 of 1"
    assert rows()["step, float32: torch fused huge pages / gradtx huge pages"][-1] == "missed by 2.2%, in 1 of 1"
    assert rows()["step, float32: torch fused / gradtx huge pages"][-1] == "reached in 1 of 1"
    assert rows()["step, float32: loop without maths / gradtx"][2:] == [
        "80.0%", "gpt2 × 0.5, adam, float32", "missed by 11.1%, in 1 of 2"
    ]  # fmt: skip
    assert rows()["step, float32: loop without maths / gradtx huge pages"][2] == "94.4%"


def test_reach_in_bfloat16_is_beside_the_same_state():
    assert rows()["step, bfloat16: optax float32 state / gradtx"][2] == "2.00 times"
    assert rows()["step, bfloat16: torch fused / gradtx"][2:] == ["", "", "not measured"]


def test_a_value_at_the_bound_is_reached():
    at = Target("", lambda m: 0.9, 0.9, False, True, lambda record: record.cases)
    assert all(outcome(target, RECORD).text == "reached in 7 of 7" for target in (at, at._replace(most=True)))
    assert outcome(at._replace(bound=0.91), RECORD).reached == 0


def test_reach_of_an_empty_record():
    empty = RECORD._replace(cases=[])
    assert reach_table(empty).count("not measured") == len(TARGETS)
    assert summary(empty).startswith("0 of the 0 targets")
    assert load_line(empty) == "load average unknown"
    assert sentences(empty) == "Not measured."
    assert all(
        page.filled(path.read_text(), empty).count("<!--") == path.read_text().count("<!--") for path in page.PAGES
    )


def test_a_busy_machine_is_said_to_be_one():
    assert not RECORD.crowded() and not summary(RECORD).endswith("provisional.")
    crowded = RECORD._replace(cases=[RECORD.cases[0]._replace(load=[None, 3.5])])
    assert crowded.crowded() and summary(crowded).endswith("provisional.")
    assert load_line(crowded) == "load average 3.5 to 3.5"


def test_rates_are_of_each_library_s_own_bytes():
    bfloat16 = RECORD.largest("one leaf", "adam", "bfloat16")
    assert bfloat16.rate("gradtx") == pytest.approx(2.2e9)
    assert bfloat16.rate("optax") == pytest.approx(2.8e9)
    assert bfloat16.of_limit("gradtx", "gradtx") == pytest.approx(0.95)
    assert bfloat16.of_limit("optax", "gradtx") == pytest.approx(0.95 * 2.8 / 2.2)
    assert bfloat16.of_limit("torch fused", "gradtx") is None


def test_table():
    lines = table(RECORD.cases).splitlines()
    assert lines[2] == (
        "| one leaf, adam, float32 | gradtx | 1,234 | 1.00 | 10 | 10.00 | 1.00 | 5.00 | 10 | 8.0 | 0.0 | 2.8 | 95% |"
    )
    assert lines[4] == (
        "| one leaf, adam, float32 | torch fused |  |  |  | 10.50 | 1.05 | 10.50 |  | 8.0 |  | 2.7 | 90% |"
    )
    assert len({line.count("|") for line in lines}) == 1
    small = measured("mlp", "adam", gradtx=result(0.01, limit=0.005))
    assert table([small]).splitlines()[-1].endswith("| 2.8 |  |")  # its memory is a cache
    assert absent(RECORD.cases).splitlines() == [
        "- absent, torch fused (1000 leaves, adamw + clip, float32); gradtx (mlp, lion, float32): a reason",
        "- absent, torch fused (mlp, lion, float32): PyTorch has no fused lion",
    ]
    assert load_line(RECORD) == "load average 0.5 to 2.2"


def test_record_survives_its_file(tmp_path):
    RECORD.save(tmp_path / "r.json")
    assert load(tmp_path / "r.json") == RECORD
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]
    case = RECORD.cases[0].case
    assert RECORD.having(case, ["gradtx", "optax"]) and not RECORD.having(case, ["gradtx", "numpy"])
    again = RECORD.with_case(RECORD.cases[0]._replace(load=[0.0, 0.0]))
    assert len(again.cases) == len(RECORD.cases) and again.cases[-1].load == [0.0, 0.0]


def test_headline():
    assert sentences(RECORD).splitlines() == [
        "A step on the parameters of gpt2 × 0.5 takes 1.20 (adam) to 1.20 (adam) times as long in Optax as in gradtx.",
        "Of all cases that were measured, gradtx is faster than Optax in 2 of 6 and than fused PyTorch in 1 of 1.",
        "On 1000 leaves, gradtx builds a step of adamw + clip in 5.0 s (0.8 s packed), Optax in 9.0 s.",
    ]


def test_picture_of_the_headline(tmp_path):
    (case,) = on_model(RECORD)
    assert case.case.size == 0.5
    draw_headline([case], headline_path(tmp_path / "p.png"), "a mark")
    with Image.open(tmp_path / "p_gpt2.png") as picture:
        assert picture.info["Comment"] == "a mark"


def test_pictures(tmp_path):
    assert growth(RECORD) == {"gradtx": [(10, 0.5), (1000, 5.0)], "optax": [(10, 0.6), (1000, 9.0)]}
    path = tmp_path / "p.png"
    assert draw(RECORD, path, "a mark") == [path, build_path(path)]
    for drawn in (path, build_path(path)):
        with Image.open(drawn) as picture:
            assert picture.info["Comment"] == "a mark" and picture.size[0] > 1000
    assert draw(RECORD._replace(cases=[]), path, "") == []


# The committed pages.


@pytest.mark.parametrize("path", page.PAGES, ids=lambda path: path.name)
def test_page_is_from_the_record(path):
    text = path.read_text(encoding="utf-8")
    assert text == page.filled(text, load(page.RECORD)), "run python -m examples.benchmarks.page"


def test_pages_have_all_blocks():
    found = [block["name"] for path in page.PAGES for block in page.BLOCK.finditer(path.read_text(encoding="utf-8"))]
    assert sorted(found) == sorted(page.BLOCKS)


PICTURES = [page.PICTURE, headline_path(page.PICTURE), build_path(page.PICTURE)]


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_pictures_are_from_the_record(path):
    with Image.open(path) as picture:
        assert picture.info["Comment"] == page.mark(load(page.RECORD)), "run python -m examples.benchmarks.page"


@pytest.mark.parametrize("path", page.PAGES, ids=lambda path: path.name)
def test_text_of_the_page_has_no_measured_numbers(path):
    """What is written by hand stays true whatever is measured next: it has no ratios, times or sizes."""
    text = re.sub(r"```.*?```", "", page.BLOCK.sub("", path.read_text(encoding="utf-8")), flags=re.DOTALL)
    assert re.findall(r"\d+\.\d+|\d+ ?(?:%|ms|us|MB|GB|seconds|times)", text) == []
