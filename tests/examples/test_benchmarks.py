"""The benchmark program: its cases, its processes, what it keeps, and what it says of what does not run."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from examples.benchmarks import eager, process
from examples.benchmarks.__main__ import INTERRUPTED, main
from examples.benchmarks.cases import MODELS, OPTIMIZERS, WORKLOADS, Absent, Case, every, usual
from examples.benchmarks.libraries import HUGE_PAGES, LIBRARIES, USUAL, no_huge_pages
from examples.benchmarks.machine import ABSENT, differences, machine, sources, versions
from examples.benchmarks.process import Plan, Worker, measure, quartiles
from examples.benchmarks.record import load
from examples.benchmarks.timing import turn
from examples.benchmarks.worker import LONGEST, reason

ROOT = Path(__file__).parents[2]
SMALL = Plan(rounds=1, steps=2, seconds=60)
MLP = Case("mlp", "momentum", 0.001, "float32")


@pytest.mark.parametrize(
    ("workload", "leaves", "elements"),
    [
        ("gpt2", 148, 124_439_808), ("resnet50", 161, 25_557_032), ("mlp", 10, 1_195_018),
        ("1000 leaves", 1000, 64_000), ("30 leaves", 30, 1920), ("one leaf", 1, 60_000_000),
    ],
)  # fmt: skip
def test_workloads_are_the_models(workload, leaves, elements):
    shapes = WORKLOADS[workload]()
    assert len(shapes) == leaves
    assert sum(map(math.prod, shapes)) == elements


def test_size_shrinks_large_models_only():
    case = Case("gpt2", "adam", 0.1, "float32")
    assert 0.09 < sum(map(math.prod, case.shapes)) / 124e6 < 0.12
    assert case.name == "gpt2 × 0.1, adam, float32"
    assert Case("mlp", "adam", 0.1, "float32").shapes == WORKLOADS["mlp"]()
    assert Case("mlp", "adam", 0.1, "float32").name == "mlp, adam, float32"


def test_traffic_reads_the_gradients_once_more_to_clip():
    assert Case("mlp", "adam", 1, "float32").traffic(4, 8) == 28  # of one element: g is read, p, mu and nu twice
    assert Case("mlp", "adamw + clip", 1, "float32").traffic(4, 8) == 32
    assert Case("mlp", "adam", 1, "bfloat16").traffic(2, 8) == 22


def test_usual_cases_hold_every_model_and_optimizer_and_begin_with_what_targets_are_about():
    cases = usual()
    assert cases[0] == ("one leaf", "adam", "float32")
    assert {case[:2] for case in cases} >= {(w, o) for w in MODELS for o in OPTIMIZERS if o != "adamw"}
    assert len(set(cases)) == len(cases) and every()[: len(cases)] == cases
    assert len(every()) == len(WORKLOADS) * len(OPTIMIZERS) * 2


def test_libraries_of_a_case():
    of = lambda *case: [k for k in USUAL if LIBRARIES[k].takes(Case(*case))]
    assert of("mlp", "adam", 1, "float32") == ["gradtx", "gradtx packed", "optax", "torch fused"]
    assert "gradtx packed" not in of("one leaf", "adam", 1, "float32")
    assert "optax float32 state" in of("one leaf", "adam", 1, "bfloat16")
    assert all(library.limit in LIBRARIES for library in LIBRARIES.values())


def test_a_turn_ends_after_its_steps_or_its_seconds():
    steps = []
    times = turn(lambda: steps.append(1), None, 3, 60)
    assert len(times["seconds"]) == 3 and len(times["pipelined"]) == 1 and len(steps) == 6
    assert "dispatch" not in times
    waits = []
    times = turn(lambda: None, lambda: waits.append(1), 3, 0)
    assert len(times["seconds"]) == len(times["dispatch"]) == 1 and len(waits) == 2


def test_quartiles():
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == [2.0, 4.0]
    assert quartiles([1.0]) == [1.0, 1.0]


# Processes.


@pytest.fixture
def interpreter(tmp_path):
    """Makes what stands in for Python: a shell script of some lines."""

    def make(*lines):
        path = tmp_path / "python"
        path.write_text("\n".join(["#!/bin/sh", *lines]))
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize("library", ["gradtx", "gradtx huge pages", "torch fused huge pages", "gradtx XLA"])
def test_environment_of_a_library(library, interpreter, monkeypatch):
    monkeypatch.setitem(LIBRARIES, library, LIBRARIES[library]._replace(why_not=lambda: None))
    for name in ("GLIBC_TUNABLES", "GRADTX_NATIVE"):
        monkeypatch.delenv(name, raising=False)
    script = interpreter('''echo "[\\"$GLIBC_TUNABLES\\", \\"$GRADTX_NATIVE\\", \\"$1 $2 $3\\"]"''')
    with Worker(library, script) as worker:
        glibc, native, arguments = worker.listen()
    assert glibc == (HUGE_PAGES["GLIBC_TUNABLES"] if "huge pages" in library else "")
    assert native == ("0" if library == "gradtx XLA" else "")
    assert arguments == f"-m examples.benchmarks.worker {library}"


@pytest.mark.parametrize(
    ("pages", "libc", "why"),
    [
        ("always [madvise] never", ("glibc", "2.36"), None),
        ("[always] madvise never", ("glibc", "2.36"), None),
        ("always madvise [never]", ("glibc", "2.36"), "huge pages are off"),
        ("always [madvise] never", ("glibc", "2.31"), "the C library is glibc 2.31"),
        ("always [madvise] never", ("", ""), "the C library is unknown"),
    ],
)
def test_where_there_are_no_huge_pages(pages, libc, why, tmp_path, monkeypatch):
    (tmp_path / "enabled").write_text(pages)
    monkeypatch.setattr("examples.benchmarks.libraries.PAGES", tmp_path / "enabled")
    monkeypatch.setattr("platform.libc_ver", lambda: libc)
    assert (no_huge_pages() or "").startswith(why or "") and (no_huge_pages() is None) == (why is None)
    if why:
        results = measure(MLP, {"torch fused huge pages": "nowhere"}, SMALL)
        assert results == {"torch fused huge pages": {"absent": no_huge_pages()}}


def test_what_fails_is_absent_with_its_reason_and_the_rest_goes_on(interpreter):
    dying = interpreter('echo "{}"', "read job", "kill -9 $$")
    python = {"numpy": sys.executable, "torch fused": "/nowhere/python", "torch foreach": dying}
    results = measure(MLP, python, SMALL)
    assert results["torch fused"] == {"absent": "/nowhere/python: No such file or directory"}
    assert results["torch foreach"] == {"absent": "the process ended, signal 9"}
    assert results["numpy"]["seconds"] > 0 and results["numpy"]["pipelined"] > 0
    assert results["numpy"]["steps"] == SMALL.rounds * SMALL.steps
    low, high = results["numpy"]["quartiles"]
    assert low <= results["numpy"]["seconds"] <= high
    assert measure(MLP._replace(optimizer="muon"), {"numpy": sys.executable}, SMALL) == {
        "numpy": {"absent": "no muon in float32 here"}
    }


def test_what_fails_in_its_second_turn_is_absent(interpreter):
    failing = interpreter('echo "{}"', "read job", 'echo "{}"', "read job", """echo '{"seconds": [1.0]}' """, "exit 3")
    assert measure(MLP, {"numpy": failing}, SMALL) == {"numpy": {"absent": "the process ended, exit code 3"}}


def test_reason_is_one_short_line():
    assert reason(Absent("no lion")) == "no lion"
    assert reason(MemoryError("not so\nmuch")) == "MemoryError: not so"
    assert len(reason(ValueError("x" * 1000))) == LONGEST


def test_processes_end_when_interrupted(tmp_path, monkeypatch, capsys):
    processes = []

    def interrupted(self, job):
        processes.append(self.process)
        raise KeyboardInterrupt

    monkeypatch.setattr(process.Worker, "ask", interrupted)
    arguments = ["--quick", "--out", str(tmp_path / "b.png"), "--libraries", "numpy"]
    assert main(arguments) == INTERRUPTED
    assert len(processes) == 1 and all(p.poll() is not None for p in processes)
    assert "--resume" in capsys.readouterr().err


# Records.


def test_versions_of_another_interpreter():
    assert versions(sys.executable, "pytest", "no-such-distribution") == {
        "pytest": pytest.__version__, "no-such-distribution": ABSENT
    }  # fmt: skip
    assert versions("/nowhere/python", "torch") == {"torch": ABSENT}
    about = machine(sys.executable, sys.executable)
    assert about.keys() >= {"processor", "cores", "vectors", "memory", "python", "jax", "jaxlib", "optax", "torch"}
    assert differences(about, dict(about)) == []
    assert differences({"jax": "1"}, {"jax": "2", "cores": "2"}) == [
        "jax: 1 there, 2 here",
        "cores: None there, 2 here",
    ]


def test_sources_tell_one_state_of_a_package_from_another(tmp_path):
    (tmp_path / "step.cc").write_text("int x;")
    before = sources(tmp_path)
    (tmp_path / "step.o").write_text("made")
    assert sources(tmp_path) == before and len(before) == 8
    (tmp_path / "step.cc").write_text("int y;")
    assert sources(tmp_path) != before


def test_resume(tmp_path, monkeypatch):
    arguments = ["--quick", "--out", str(tmp_path / "b.png"), "--libraries", "numpy"]
    measured = []

    def stop_at_the_second(case, python, plan):
        measured.append(case)
        if len(measured) == 2:
            raise KeyboardInterrupt
        return {library: {"absent": "a test"} for library in python}

    monkeypatch.setattr("examples.benchmarks.__main__.measure", stop_at_the_second)
    assert main(arguments) == INTERRUPTED
    path = tmp_path / "b.json"
    assert [m.case for m in load(path).cases] == measured[:1]
    assert main([*arguments, "--resume"]) == 0
    assert measured[2:] == measured[1:2]  # the first is not measured again
    assert [m.case for m in load(path).cases] == measured[:2]
    assert len(load(path).cases[0].load) == 2
    assert main([*arguments, "optax", "--resume"]) == 0
    assert len(measured) == 5  # a library more: all of it, so that all libraries see the same minutes


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        ("[]", "is not a record of this program"),
        ('{"machine": {"jax": "0.0.1"}, "cases": []}', "jax: 0.0.1 there"),
    ],
)
def test_resume_of_what_does_not_fit_is_one_line(content, problem, tmp_path, capsys):
    if content:
        (tmp_path / "b.json").write_text(content)
    with pytest.raises(SystemExit) as caught:
        main(["--quick", "--out", str(tmp_path / "b.png"), "--resume"])
    error = capsys.readouterr().err
    assert caught.value.code == 2 and problem in error and error.count("\n") == 1


def test_unusual_cases_need_to_be_asked_for(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path / "b.png"), "--workloads", "mlp", "--dtypes", "bfloat16"])
    assert "--every" in capsys.readouterr().err


@pytest.mark.slow
def test_quick_run(tmp_path):
    command = [sys.executable, "-m", "examples.benchmarks", "--quick", "--out", str(tmp_path / "b.png"), "--libraries"]
    done = subprocess.run(
        [*command, "gradtx", "optax", "numpy", "torch fused"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    record = load(tmp_path / "b.json")
    assert len(record.cases) == 2 and (tmp_path / "b.png").stat().st_size > 0
    for case in record.cases:
        ours, optax = case.results["gradtx"], case.results["optax"]
        assert ours["temporary bytes"] < ours["state bytes"] <= optax["state bytes"] + 100
        for result in (ours, optax):
            assert all(result[key] > 0 for key in ("trace", "lower", "compile", "seconds", "dispatch", "pipelined"))
            assert 0 < result["fusions"] + result["native calls"] <= result["kernels"] and result["equations"] > 10
        torch = case.results["torch fused"]
        assert torch.get("seconds", 0) > 0 or "torch" in torch["absent"]
        assert ours.get("limit", 1) > 0  # none where the native library was not built
    assert "of limit" in done.stdout


def test_eager_calls_are_measured_in_turns(capsys, monkeypatch):
    names = [row.name for row in eager.rows()]
    assert len(set(names)) == len(names)
    monkeypatch.setattr(sys, "argv", ["eager", "--only", "losses.hinge", "--rounds", "2"])
    eager.main()
    machine, versions, *_, row, other, summary = capsys.readouterr().out.splitlines()
    assert machine.startswith("Machine: ") and "Optax" in versions
    assert row.startswith("gradtx losses.hinge_loss") and other.startswith("compat losses.hinge_loss")
    assert all(len(line.split()[2:8]) == 6 for line in (row, other))
    assert summary.startswith("Slower than Optax: ")
    monkeypatch.setattr(sys, "argv", ["eager", "--only", "nothing of that name"])
    with pytest.raises(SystemExit):
        eager.main()
