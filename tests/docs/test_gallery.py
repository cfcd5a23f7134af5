"""The hook that makes the gallery's pages: what it takes from the scripts, and what it says of their setting."""

import importlib.util

import pytest

from tests.docs.pages import ROOT

mkdocs = pytest.importorskip("mkdocs")

SCRIPTS = sorted(path for path in (ROOT / "examples").glob("*.py") if not path.stem.startswith("_"))


def hook():
    """The module as MkDocs loads it: by its path, in the environment of now."""
    spec = importlib.util.spec_from_file_location("gallery_hook", ROOT / "docs" / "_gallery.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("value", "command"), [("1", "some.py --quick"), ("0", "some.py"), (None, "some.py")])
def test_a_page_says_how_its_script_was_run(value, command, monkeypatch):
    monkeypatch.delenv("GRADTX_QUICK", raising=False)
    if value:
        monkeypatch.setenv("GRADTX_QUICK", value)
    source = '"""About it."""\n# gallery: the line\nx = 1\n# gallery: end\n'
    page = hook().page("some", "Some", source, "  a b\n1 2\n")
    assert f"those of `examples/{command}`." in page
    assert "The line:\n\n```python\nx = 1\n```" in page
    assert "```text\n  a b\n1 2\n```" in page  # as it was printed


def test_marks_are_pairs():
    gallery = hook()
    for path in SCRIPTS:
        assert gallery.marked_lines(path.stem, path.read_text())
    for source in ("x = 1\n", "# gallery: a\n# gallery: b\nx = 1\n# gallery: end\n", "# gallery: a\nx = 1\n"):
        with pytest.raises(Exception, match="must mark lines with pairs"):
            gallery.marked_lines("some", source)


def test_the_index_names_every_script():
    gallery = hook()
    titles = gallery.named_in((ROOT / "docs" / gallery.INDEX).read_text())
    gallery.check_complete(titles, ROOT / "examples")
    with pytest.raises(Exception, match="differ at: flax_training"):
        gallery.check_complete(
            {name: title for name, title in titles.items() if name != "flax_training"}, ROOT / "examples"
        )
