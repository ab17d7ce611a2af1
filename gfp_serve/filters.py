"""Filters: which items a search may find. They are plain data, which every backend translates in its own way."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gfp_serve.errors import InvalidRequestError

# The key of conditions on an item's label. Conditions on attributes have the attribute's name as their key.
LABEL = ""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The value equals one of `values`. For a list of texts, at least one member does.

    Types are compared too: a number, a text and a boolean are never equal.
    """

    key: str
    values: tuple[str | float | bool, ...]

    def holds(self, value: object) -> bool:
        members = value if isinstance(value, list) else [value]
        return any(_same(member, wanted) for member in members for wanted in self.values)


@dataclass(frozen=True, slots=True)
class Range:
    """The value is a number within the bounds that are set. At least one bound must be set, and none may be NaN."""

    key: str
    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def holds(self, value: object) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )


Condition = AnyOf | Range


@dataclass(frozen=True, slots=True)
class Filter:
    """An item passes if all of `must` hold, at least one of `any_of` (if there are any), and none of `must_not`.

    A condition on an attribute does not hold if the item lacks the attribute or has it with another type.

    Raises `InvalidRequestError` for an `AnyOf` without values, or a `Range` without bounds or with a NaN bound.
    """

    must: tuple[Condition, ...] = ()
    any_of: tuple[Condition, ...] = ()
    must_not: tuple[Condition, ...] = ()

    def __post_init__(self) -> None:
        for condition in (*self.must, *self.any_of, *self.must_not):
            if isinstance(condition, AnyOf):
                if not condition.values:
                    raise InvalidRequestError(f"the condition on {_name(condition.key)} has no values; list one.")
                continue
            bounds = (condition.above, condition.at_least, condition.below, condition.at_most)
            if bounds == (None,) * 4 or any(bound is not None and math.isnan(bound) for bound in bounds):
                raise InvalidRequestError(
                    f"the range of {_name(condition.key)} has no bound, or a bound that is NaN; give one or more "
                    f"numbers."
                )

    def passes(self, label: str, attributes: Mapping[str, object]) -> bool:
        """Whether an item with this label and these attributes passes.

        This defines what a filter means. Backends give the same answer faster.
        """
        return (
            all(_holds(condition, label, attributes) for condition in self.must)
            and (not self.any_of or any(_holds(condition, label, attributes) for condition in self.any_of))
            and not any(_holds(condition, label, attributes) for condition in self.must_not)
        )


def _holds(condition: Condition, label: str, attributes: Mapping[str, object]) -> bool:
    return condition.holds(label if condition.key == LABEL else attributes.get(condition.key))


def _same(value: object, wanted: str | float | bool) -> bool:
    # True == 1 in Python, but not in JSON.
    return isinstance(value, bool) == isinstance(wanted, bool) and value == wanted


def _name(key: str) -> str:
    return "the label" if key == LABEL else f"attribute {key[:80]!r}"
