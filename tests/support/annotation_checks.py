"""Annotations are checked in every call of every test: shapes by jaxtyping, all else by beartype alone.

pytest's option `--jaxtyping-packages` puts `jaxtyping.jaxtyped` before each function. That binds arguments to names and
checks them twice, so that names of axes mean the same in all of a call. A function whose annotations have no shapes
needs neither: beartype alone finds the same mistakes in a tenth of the time, and most functions are of this kind.
"""

import dataclasses
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, ForwardRef, Literal, get_args, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype
from jaxtyping import AbstractArray, TypeCheckError

# Like type checkers, accept ints where floats are annotated (PEP 484).
check = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=TypeCheckError))

_with_shapes = jaxtyping.jaxtyped


def check_shapes_only_where_there_are_any() -> None:
    """Take the place of `jaxtyping.jaxtyped` for packages that are imported from now on."""
    jaxtyping.jaxtyped = _checked


def _checked(*, typechecker: Callable[..., Any]) -> Callable[[Any], Any]:
    def decorate(given: Any) -> Any:
        if inspect.isclass(given):
            if dataclasses.is_dataclass(given) and _has_no_shapes(given.__init__):
                given.__init__ = check(given.__init__)  # type: ignore[method-assign]
                return given
        elif _has_no_shapes(given):
            return check(given)
        return _with_shapes(given, typechecker=typechecker)

    return decorate


def _has_no_shapes(function: Any) -> bool:
    """Whether beartype alone checks a function as jaxtyping would. Of what is not known yet, jaxtyping makes `Any`.

    beartype alone would also check each thing that a generator yields.
    """
    if not isinstance(function, FunctionType) or inspect.isgeneratorfunction(function):
        return False
    return not any(map(_is_shape_or_unknown, function.__annotations__.values()))


def _is_shape_or_unknown(annotation: Any) -> bool:
    if isinstance(annotation, str | ForwardRef):
        return True
    if isinstance(annotation, list):  # the arguments of a Callable
        return any(map(_is_shape_or_unknown, annotation))
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return get_origin(annotation) is not Literal and any(map(_is_shape_or_unknown, get_args(annotation)))
