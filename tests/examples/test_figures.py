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
    ("--out", "picture.txt"),
    ("--out", "file/picture.png"),
    ("--out", "file/"),
    ("--out", "folder"),
    ("--unknown", "1"),
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_argument_is_one_line_and_exit_code_2(parser, capsys, arguments):
    Path("file").touch()
    Path("folder/picture.png").mkdir(parents=True)
    with pytest.raises(SystemExit) as caught:
        parser.place(parser.parse_args(arguments).out)
    printed = capsys.readouterr()
    assert caught.value.code == 2
    assert printed.out == "" and printed.err.count("\n") == 1 and arguments[0] in printed.err


def test_default_arguments(parser):
    args = parser.parse_args([])
    assert (args.seed, args.quick) == (0, False)
    assert parser.place(args.out) == Path("figures", "picture.png")
    assert Path("figures").is_dir()


FORMATS = ["eps", "jpg", "jpeg", "pdf", "png", "PNG", "ps", "raw", "rgba", "svg", "svgz", "tif", "tiff", "webp"]


@pytest.mark.parametrize("ending", FORMATS)
def test_any_format_that_matplotlib_writes(parser, capsys, ending):
    out = parser.place(parser.parse_args(["--out", f"new/line.{ending}"]).out)
    assert out == Path("new", f"line.{ending}")
    figure, axes = figures.plt.subplots()
    axes.plot([1, 2])
    figures.save(figure, out)
    assert out.stat().st_size > 1000
    assert capsys.readouterr().out == f"Figure: {out}\n"


def test_a_folder_gets_the_picture_under_its_name(parser):
    Path("v1.2").mkdir()
    for folder in ("v1.2", "v1.3/", "a.png/", "new/", "new/deeper"):
        out = parser.parse_args(["--out", folder]).out
        assert parser.place(out) == Path(folder, "picture.png")
        assert parser.place(out, "other.png") == Path(folder, "other.png")
        assert Path(folder).is_dir()


def test_what_cannot_be_written_is_one_line(parser, capsys):
    figure, _ = figures.plt.subplots()
    with pytest.raises(SystemExit) as caught:
        figures.save(figure, Path("no folder", "picture.png"))
    assert caught.value.code == 1
    assert capsys.readouterr().err.count("\n") == 1


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
