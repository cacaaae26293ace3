"""The OpenAPI document: each field is described by the words under it in the source.

Pydantic would read the sources of every body while they are imported, which every process of the
farm and every command would wait for.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from ffrtmp.api.browsers import GuardedApp
from ffrtmp.schemas.base import Answer, Wire


class DescribedApi(GuardedApp):
    """An app whose document says what its fields are."""

    def openapi(self) -> dict[str, Any]:
        """The document; made when it is first asked for."""
        if self.openapi_schema is None:
            describe(super().openapi())
        return super().openapi()


def describe(document: Mapping[str, Any]) -> None:
    """Add to the fields of the bodies in a document what they are."""
    known = {model.__name__: model for model in _descendants(Wire, Answer)}
    for name, schema in document["components"]["schemas"].items():
        # A body that is read and written differently is there twice.
        model = known.get(name.removesuffix("-Input").removesuffix("-Output"))
        words = field_words(model) if model is not None else {}
        for field, described in schema.get("properties", {}).items():
            if field in words:
                described.setdefault("description", words[field])


def field_words(model: type[BaseModel]) -> dict[str, str]:
    """What stands under each field of a model and of those it inherits from."""
    sources = [kind for kind in reversed(model.__mro__) if issubclass(kind, BaseModel)]
    return {name: words for kind in sources[1:] for name, words in _own_words(kind)}


def _own_words(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(_classes(model.__module__)[model.__name__].body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(words))),
            ):
                yield name, inspect.cleandoc(words)


@functools.cache
def _classes(module: str) -> Mapping[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {found.name: found for found in tree.body if isinstance(found, ast.ClassDef)}


def _descendants(*models: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in models:
        yield model
        yield from _descendants(*model.__subclasses__())
