"""What the figure scripts share: arguments, places of labels, and looks."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

SOURCE = Path(__file__).parents[2] / "examples" / "_figures.py"
SPEC = importlib.util.spec_from_file_location("examples_figures", SOURCE)
assert SPEC is not None and SPEC.loader is not None
figures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(figures)


@pytest.fixture
def parser(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parser = figures.FigureParser("Draws.", picture="picture.png")
    parser.add_argument("--steps", type=figures.whole(1))
    parser.add_argument("--noise", type=figures.number(0, 100))
    return parser


WRONG = [
    ("--steps", "0"),
    ("--steps", "-5"),
    ("--steps", "1.5"),
    ("--seed", "-1"),
    ("--seed", str(2**31)),
    ("--noise", "nan"),
    ("--noise", "inf"),
    ("--noise", "-1"),
    ("--noise", "101"),
    ("--noise", "much"),
    ("--out", "picture.jpg"),
    ("--out", "file/picture.png"),
    ("--out", "folder.png"),
    ("--unknown", "1"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_argument_is_one_line_and_exit_code_2(parser, capsys, arguments):
    Path("file").touch()
    Path("folder.png").mkdir()
    with pytest.raises(SystemExit) as caught:
        parser.make_folder(parser.parse_args(arguments).out)
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.out == "" and printed.err.count("\n") == 1 and arguments[0] in printed.err


def test_default_arguments(parser):
    args = parser.parse_args([])
    assert (args.seed, args.out, args.quick) == (0, Path("figures", "picture.png"), False)
    parser.make_folder(args.out)
    assert Path("figures").is_dir()


def test_labels_move_no_further_than_they_must():
    apart = np.array([0.0, 1.0, 2.0])
    np.testing.assert_allclose(figures.spread_out(apart, 0.5), apart)
    np.testing.assert_allclose(figures.spread_out(np.array([1.0, 1.0]), 1.0), [0.5, 1.5])
    # The pair in the middle pushes into its neighbour: the three share the move, the last stays.
    np.testing.assert_allclose(figures.spread_out(np.array([0.0, 0.9, 0.9, 9.0]), 1.0), [-0.4, 0.6, 1.6, 9.0])


def test_looks_differ():
    looks = [figures.look(name) for name in figures.COLORS]
    assert len({look["color"] for look in looks}) == len(looks)
    assert figures.look("Adam")["linestyle"] != figures.look("AdamW")["linestyle"]
