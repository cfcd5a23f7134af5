"""The docstrings of optimizers for the reference, which reads sources: `optimizer` completes them when it is called."""

import importlib
import inspect
from typing import Any

from griffe import Docstring, Extension, Function


class Optimizers(Extension):
    """Gives a function under `@optimizer` the docstring of the maker it becomes, and what that returns."""

    def on_function(self, *, func: Function, **kwargs: Any) -> None:
        """Read the maker's docstring."""
        del kwargs
        if (
            not any(str(decorator.value).startswith("optimizer(") for decorator in func.decorators)
            or not func.docstring
        ):
            return
        made = getattr(importlib.import_module(func.module.path), func.name)
        old = func.docstring
        func.docstring = Docstring(
            inspect.getdoc(made) or "", lineno=old.lineno, endlineno=old.endlineno, parent=func,
            parser=old.parser, parser_options=old.parser_options,
        )  # fmt: skip
        if func.returns is None:
            func.returns = "GradientTransformation"
