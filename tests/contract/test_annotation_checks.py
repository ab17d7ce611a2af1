"""In tests, each call of the packages is checked against its annotations. So is that."""

from collections.abc import Callable

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from gfp_serve.classify import nearest
from gfp_serve.filters import AnyOf
from gfp_serve.items import Effort, Item
from gfp_serve.printable import printable
from gfp_serve.windows import WindowCutter

ROWS = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    "call",
    [
        lambda: printable(3),
        lambda: WindowCutter(3, "1"),
        lambda: Effort(nprobe="many"),
        lambda: AnyOf("", (None,)),
        lambda: Item(3, ROWS[0]),
        lambda: nearest(ROWS, ROWS, top_k="1"),
    ],
)
def test_a_value_of_another_type_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(TypeCheckError):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: Item("id", ROWS),
        lambda: Item("id", ROWS[0].astype(float)),
        lambda: nearest(ROWS[0], ROWS, top_k=1),
        lambda: nearest(ROWS, ROWS[:, :2], top_k=1),  # one name, two lengths
    ],
)
def test_an_array_of_another_shape_or_kind_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(TypeCheckError):
        call()


def test_an_answer_of_another_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong:
        def sub(self, *_: object) -> int:
            return 3

    monkeypatch.setattr("gfp_serve.printable._OBEYED", Wrong())
    with pytest.raises(TypeCheckError):
        printable("text")
