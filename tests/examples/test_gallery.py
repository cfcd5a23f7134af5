"""The hook of the documentation that makes the gallery from the examples."""

import importlib.util
from pathlib import Path

import pytest

config_module = pytest.importorskip("mkdocs.config")

from mkdocs.exceptions import PluginError  # noqa: E402
from mkdocs.structure.files import Files  # noqa: E402

ROOT = Path(__file__).parents[2]
HOOK = ROOT / "docs" / "_gallery.py"
SPEC = importlib.util.spec_from_file_location("docs_gallery", HOOK)
assert SPEC is not None and SPEC.loader is not None
gallery = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(gallery)

SCRIPT = '''"""Draws a line.

And says so.
"""

import sys
from pathlib import Path

if True:
    # gallery: write the picture
    picture = b"a line"

    Path(sys.argv[-1]).write_bytes(picture)
    # gallery: end
print("length 1")
print(f"Figure: {sys.argv[-1]}")
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A documentation with one example in its gallery."""
    monkeypatch.delenv("GRADTX_GALLERY", raising=False)
    for folder in ("docs/gallery", "examples", "made"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "mkdocs.yml").write_text("site_name: test\n")
    (tmp_path / "docs" / "gallery" / "index.md").write_text("# Gallery\n\n## All\n\n- [A line](line.md)\n\nThe end.\n")
    (tmp_path / "examples" / "line.py").write_text(SCRIPT)
    (tmp_path / "examples" / "_shared.py").write_text("")
    return tmp_path


def build(project):
    """The pages and pictures that the hook adds, by address."""
    config = config_module.load_config(str(project / "mkdocs.yml"), hooks=[str(HOOK)])
    return {file.src_uri: file for file in config.plugins.on_files(Files([]), config=config)}


def test_page_of_an_example_that_is_run(project):
    files = build(project)
    assert list(files) == ["gallery/line.md", "gallery/line.png", "gallery/SUMMARY.md"]
    page = files["gallery/line.md"].content_string
    assert page.startswith("# A line\n\nDraws a line.\n\nAnd says so.\n\n![A line](line.png)\n")
    assert "Write the picture:\n\n```python\npicture = b" in page and "\n\nPath(sys.argv[-1])" in page
    assert "```text\nlength 1\n```" in page  # not the path of the picture
    assert files["gallery/line.png"].content_bytes == b"a line"
    assert "- [A line](line.md)" in files["gallery/SUMMARY.md"].content_string


def test_results_of_an_earlier_run(project, monkeypatch):
    monkeypatch.setenv("GRADTX_GALLERY", str(project / "made"))
    with pytest.raises(PluginError, match=r"GRADTX_GALLERY: .*line\.txt: No such file"):
        build(project)
    (project / "made" / "line.txt").write_text("length 2\nFigure: made/line.png\n")
    (project / "made" / "line.png").write_bytes(b"another line")
    files = build(project)
    assert "```text\nlength 2\n```" in files["gallery/line.md"].content_string
    assert files["gallery/line.png"].content_bytes == b"another line"


def test_a_failing_example_fails_the_build(project):
    (project / "examples" / "line.py").write_text(SCRIPT + "sys.exit('it does not hold')\n")
    with pytest.raises(PluginError, match=r"line\.py ended with exit code 1:\nit does not hold"):
        build(project)


def test_an_example_without_marks_fails_the_build(project):
    (project / "examples" / "line.py").write_text(SCRIPT.replace("# gallery: end", ""))
    with pytest.raises(PluginError, match=r"line\.py must mark lines with pairs"):
        build(project)


@pytest.mark.parametrize(("old", "new"), [("line", "circle"), ("circle", "line")])
def test_index_and_examples_must_agree(project, old, new):
    (project / "examples" / f"{old}.py").write_text(SCRIPT)
    if new == "circle":
        (project / "docs" / "gallery" / "index.md").write_text("- [A line](line.md)\n- [A circle](circle.md)\n")
    with pytest.raises(PluginError, match=r"differ at: circle$"):
        build(project)


def test_index_becomes_cards(project):
    index = config_module.load_config(str(project / "mkdocs.yml"))
    page = type("Page", (), {"file": type("File", (), {"src_uri": "gallery/index.md"})})
    text = (project / "docs" / "gallery" / "index.md").read_text()
    cards = gallery.on_page_markdown(text, page, index, Files([]))
    assert "- [![A line](line.png)](line.md)\n\n    [A line](line.md)\n" in cards
    assert cards.index("grid cards") < cards.index("[![") < cards.index("</div>") < cards.index("The end.")
    page.file.src_uri = "index.md"
    assert gallery.on_page_markdown(text, page, index, Files([])) == text


def test_every_example_is_in_the_index_and_marks_its_lines():
    titles = gallery.named_in((ROOT / "docs" / "gallery" / "index.md").read_text())
    gallery.check_complete(titles, ROOT / "examples")
    for name in titles:
        blocks = gallery.marked_lines(name, (ROOT / "examples" / f"{name}.py").read_text())
        assert 5 <= "\n".join(blocks).count("\n") <= 60
