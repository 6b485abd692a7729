"""Values made through their slots are what the data class would have made."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.store.frozen import made_through_slots


@dataclass(frozen=True, slots=True)
class Plain:
    id: int
    name: str = "none"
    tags: tuple[str, ...] = ()


@made_through_slots
@dataclass(frozen=True, slots=True)
class Swift:
    id: int
    name: str = "none"
    tags: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return self.name.title()


@given(
    st.lists(st.integers() | st.text(), max_size=4),
    st.dictionaries(st.sampled_from(["id", "name", "tags", "other"]), st.text(), max_size=3),
)
def test_arguments_are_taken_and_refused_as_by_the_data_class(
    given_in_order: list[object], by_name: dict[str, object]
) -> None:
    try:
        expected = dataclasses.astuple(Plain(*given_in_order, **by_name))  # type: ignore[arg-type]
    except TypeError:
        with pytest.raises(TypeError):
            Swift(*given_in_order, **by_name)  # type: ignore[arg-type]
    else:
        assert dataclasses.astuple(Swift(*given_in_order, **by_name)) == expected  # type: ignore[arg-type]


def test_all_else_is_the_data_class() -> None:
    value = Swift(1, tags=("a",))
    assert value == Swift(1, "none", ("a",)) and hash(value) == hash(Swift(1, "none", ("a",)))
    assert repr(value) == "Swift(id=1, name='none', tags=('a',))" and value.title == "None"
    assert dataclasses.replace(value, name="ida") == Swift(1, "ida", ("a",))
    assert copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value
    assert str(inspect.signature(Swift)) == str(inspect.signature(Plain))
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.id = 2  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        value.other = 2  # type: ignore[attr-defined]


def test_what_would_be_made_otherwise_is_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Factory:
        tags: list[str] = field(default_factory=list)

    @dataclass(frozen=True, slots=True)
    class Derived(Plain):
        more: int = 0

    @dataclass(frozen=True, slots=True)
    class Checked:
        id: int

        def __post_init__(self) -> None:
            raise AssertionError("not called here")

    @dataclass(frozen=True)
    class WithoutSlots:
        id: int

    @dataclass(frozen=True, slots=True)
    class Computed:
        id: int = field(init=False, default=1)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class ByName:
        id: int

    for odd in (Factory, Derived, Checked, WithoutSlots, Computed, ByName):
        with pytest.raises(TypeError):
            made_through_slots(odd)
