"""The docstrings of makers for the reference, which reads sources: decorators complete them when they are called."""

import importlib
import inspect
from typing import Any

from griffe import Docstring, Extension, Function

from gradtx.core.values import Maker


class Optimizers(Extension):
    """Gives a function that becomes a maker the docstring of that, and what it returns."""

    def on_function(self, *, func: Function, **kwargs: Any) -> None:
        """Read the maker's docstring."""
        del kwargs
        made = getattr(importlib.import_module(func.module.path), func.name, None)
        if not isinstance(made, Maker) or not func.docstring:
            return
        old = func.docstring
        func.docstring = Docstring(
            inspect.getdoc(made) or "", lineno=old.lineno, endlineno=old.endlineno, parent=func,
            parser=old.parser, parser_options=old.parser_options,
        )  # fmt: skip
        if func.returns is None:
            func.returns = "GradientTransformation"
