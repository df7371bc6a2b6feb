"""What a class's source says of its fields: the string that stands below a field."""

import ast
import inspect
import textwrap
from itertools import pairwise


def field_docs(of: type) -> dict[str, str]:
    """The docstring of each field that has one, those of base classes included; a class without source has none."""
    docs: dict[str, str] = {}
    for cls in reversed(of.__mro__):
        if cls.__module__ == "builtins" or "__annotations__" not in vars(cls):
            continue
        try:
            source = inspect.getsource(cls)
        except (OSError, TypeError):
            continue
        (definition,) = ast.parse(textwrap.dedent(source)).body
        docs |= _documented(definition)
    return docs


def _documented(definition: ast.stmt) -> dict[str, str]:
    docs = {}
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    for field, below in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            docs[field.target.id] = inspect.cleandoc(below.value.value)
    return docs
