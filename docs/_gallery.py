"""The gallery's pages, made by running the examples while the documentation is built.

A hook of MkDocs. `docs/gallery/index.md` names the examples and their order. They are run as a reader runs them, at
their default setting; with GRADTX_QUICK=1 in the environment, at their smallest. Where GRADTX_GALLERY names a folder,
their pictures and what they printed are taken from it, as NAME.png and NAME.txt, and nothing is run; GRADTX_QUICK then
says how they were. An example that fails, or is missing in either place, fails the build.
"""

import ast
import logging
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

INDEX = "gallery/index.md"
ITEM = re.compile(r"^- \[(?P<title>.+)\]\((?P<name>\w+)\.md\)$", re.MULTILINE)
BLOCK = re.compile(r"^ *# gallery: (?!end$)(?P<caption>.+)\n(?P<lines>(?:.*\n)+?) *# gallery: end$", re.MULTILINE)
MARK = re.compile(r"^ *# gallery: ", re.MULTILINE)
SECTION = re.compile(r"(?:- .+\n)+")
QUICK = ["--quick"] if os.environ.get("GRADTX_QUICK", "0") != "0" else []

log = logging.getLogger("mkdocs.hooks.gallery")


class Result(NamedTuple):
    """What an example made."""

    picture: bytes
    printed: str


# The events of MkDocs.


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and the picture of each example, and their order in the navigation."""
    examples = Path(config.config_file_path).parent / "examples"
    titles = named_in(Path(config.docs_dir, INDEX).read_text(encoding="utf-8"))
    check_complete(titles, examples)
    for name, title in titles.items():
        script = examples / f"{name}.py"
        source, result = script.read_text(encoding="utf-8"), result_of(script)
        files.append(File.generated(config, f"gallery/{name}.md", content=page(name, title, source, result.printed)))
        files.append(File.generated(config, f"gallery/{name}.png", content=result.picture))
    order = "".join(f"- [{title}]({name}.md)\n" for name, title in titles.items())
    content = f"- [Gallery](index.md)\n{order}"
    files.append(File.generated(config, "gallery/SUMMARY.md", content=content, inclusion=InclusionLevel.EXCLUDED))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the lists of the index into cards with pictures."""
    del config, files
    if page.file.src_uri != INDEX:
        return markdown
    return SECTION.sub(lambda section: f'<div class="grid cards" markdown>\n\n{cards(section[0])}\n</div>\n', markdown)


# The pages.


def named_in(index: str) -> dict[str, str]:
    """The titles of the examples by name, in the index's order."""
    return {item["name"]: item["title"] for item in ITEM.finditer(index)}


def check_complete(titles: dict[str, str], examples: Path) -> None:
    """Every script is in the index, and nothing else is."""
    scripts = {path.stem for path in examples.glob("*.py") if not path.stem.startswith("_")}
    if apart := sorted(scripts ^ set(titles)):
        raise PluginError(f"docs/{INDEX} and examples/ differ at: {', '.join(apart)}")


def cards(section: str) -> str:
    return ITEM.sub(r"- [![\g<title>](\g<name>.png)](\g<name>.md)\n\n    [\g<title>](\g<name>.md)\n", section)


def page(name: str, title: str, source: str, printed: str) -> str:
    """The page of one example, in Markdown."""
    about = ast.get_docstring(ast.parse(source)) or ""
    return "\n\n".join([
        f"# {title}",
        about,
        f"![{title}]({name}.png)",
        "## The lines that matter",
        *marked_lines(name, source),
        "## What it prints",
        fenced("text", printed),
        f"Picture and table are those of `{' '.join([f'examples/{name}.py', *QUICK])}`.",
        f'??? example "The whole script"\n\n{textwrap.indent(fenced("python", source), "    ")}',
    ])  # fmt: skip


def marked_lines(name: str, source: str) -> list[str]:
    """The blocks between `# gallery: caption` and `# gallery: end`, each under its caption."""
    blocks = list(BLOCK.finditer(source))
    if not blocks or len(MARK.findall(source)) != 2 * len(blocks):
        raise PluginError(f"examples/{name}.py must mark lines with pairs of `# gallery: ...` and `# gallery: end`")
    return [f"{sentence(x['caption'])}\n\n{fenced('python', textwrap.dedent(x['lines']))}" for x in blocks]


def sentence(caption: str) -> str:
    return f"{caption[0].upper()}{caption[1:]}:"


def fenced(language: str, text: str) -> str:
    """A block as it is printed: the first line of a table may begin with spaces."""
    lines = text.rstrip().lstrip("\n")
    return f"```{language}\n{lines}\n```"


# The runs.


def result_of(script: Path) -> Result:
    """The result in the folder that the environment names, else that of a run."""
    if folder := os.environ.get("GRADTX_GALLERY"):
        return read(Path(folder), script.stem)
    return run(script, script.stat().st_mtime_ns)


def read(folder: Path, name: str) -> Result:
    try:
        printed = (folder / f"{name}.txt").read_text(encoding="utf-8")
        return Result((folder / f"{name}.png").read_bytes(), without_path(printed))
    except OSError as error:
        raise PluginError(f"GRADTX_GALLERY: {error.filename}: {error.strerror}") from error


@cache
def run(script: Path, changed: int) -> Result:
    """Run a script; once, as long as it does not change, while the documentation is served."""
    del changed
    log.info("Running %s", " ".join([f"examples/{script.name}", *QUICK]))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), *QUICK, "--out", str(Path(folder, f"{script.stem}.png"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PluginError(f"examples/{script.name} ended with exit code {done.returncode}:\n{done.stderr}")
        Path(folder, f"{script.stem}.txt").write_text(done.stdout, encoding="utf-8")
        return read(Path(folder), script.stem)


def without_path(printed: str) -> str:
    """What was printed, less the line that says where the picture is."""
    return re.sub(r"^Figure: .*\n?", "", printed, flags=re.MULTILINE)
