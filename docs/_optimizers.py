"""The docstrings of makers and losses for the reference, which reads sources: decorators complete them."""

import importlib
import inspect
from typing import Any

from griffe import Class, Docstring, Extension, Function

from gradtx.core.values import Maker


class Optimizers(Extension):
    """Gives functions and states the docstrings that they have when imported, and what a maker returns."""

    def on_class(self, *, cls: Class, **kwargs: Any) -> None:
        """Read the docstring of a state that a maker has said something of."""
        del kwargs
        made = getattr(importlib.import_module(cls.module.path), cls.name, None)
        if cls.docstring is None and hasattr(made, "_fields"):
            cls.docstring = Docstring(inspect.getdoc(made) or "", parent=cls, parser="google")

    def on_function(self, *, func: Function, **kwargs: Any) -> None:
        """Read the maker's docstring."""
        del kwargs
        made = getattr(importlib.import_module(func.module.path), func.name, None)
        old = func.docstring
        if old is None or not made or inspect.getdoc(made) == old.value:
            return
        func.docstring = Docstring(
            inspect.getdoc(made) or "", lineno=old.lineno, endlineno=old.endlineno, parent=func,
            parser=old.parser, parser_options=old.parser_options,
        )  # fmt: skip
        if func.returns is None and isinstance(made, Maker):
            func.returns = "GradientTransformation"
