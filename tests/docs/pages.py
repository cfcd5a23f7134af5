"""The pages of the documentation as a test reads them: their programs, what these print, and the names in the text."""

import ast
import re
import textwrap
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(
    r"""^(?P<indent> *)```(?P<kind>\w*)(?: title="(?P<title>[^"\n]+)")?[^\n]*\n(?P<text>.*?)^(?P=indent)```$""",
    re.MULTILINE | re.DOTALL,
)
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")


class Program(NamedTuple):
    """One block of Python: its text, the line it begins at, and what the page says it prints, if it does."""

    text: str
    line: int
    printed: str | None


def name_of(page: Path) -> str:
    """The path of a page in the project."""
    return page.relative_to(ROOT).as_posix()


def programs(text: str) -> list[Program]:
    """The blocks of Python of a page; a block of plain text right after one is what it prints."""
    found: list[Program] = []
    fences = list(FENCE.finditer(text))
    for fence, after in zip_longest(fences, fences[1:]):
        if fence["kind"] != "python":
            continue
        follows = after is not None and after["kind"] == "text" and not text[fence.end() : after.start()].strip()
        printed = after["text"] if after is not None and follows else None
        found.append(Program(fence["text"], text[: fence.start()].count("\n") + 2, printed))
    return found


def promised(program: str) -> list[tuple[str, str]]:
    """The lines that are an expression and, in a comment, the call that the page says it shows as."""
    found = re.findall(r"^(\S.*?)  # (\w+\(.*\))$", program, re.MULTILINE)
    return [(line, said) for line, said in found if _is_expression(line) and _is_expression(said)]


def _is_expression(line: str) -> bool:
    try:
        ast.parse(line, mode="eval")
    except SyntaxError:
        return False
    return True


def titled(text: str) -> dict[str, str]:
    """The blocks of a page that are whole files, or what to add to one, by path."""
    return {fence["title"]: fence["text"] for fence in FENCE.finditer(text) if fence["title"]}


def prose(text: str) -> str:
    """A page without its blocks."""
    return FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(text))


def indented(docstring: str) -> list[str]:
    """The indented blocks of a docstring: formulas and programs; not the entries of its sections."""
    found = re.findall(r"(?<=\n\n)(?:(?: {4}.*)?\n)+", docstring + "\n\n")
    return [textwrap.dedent(block).strip() + "\n" for block in found if block.strip()]
