"""Items made ahead are the same items, errors come in their place, and nobody is left behind."""

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.ahead import ahead


@given(items=st.lists(st.one_of(st.none(), st.integers())), n=st.integers(1, 5))
def test_the_same_items_in_the_same_order(items: list[int | None], n: int) -> None:
    assert list(ahead(items, n)) == items


def test_no_more_than_asked_is_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    for number in ahead(items(), 3):
        assert len(made) <= number + 1 + 3 + 2  # those that wait, the one at the door, the one being made
    assert made == list(range(100))


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    made = ahead(items(), 5)
    assert next(made) == 1
    with pytest.raises(OSError, match="gone"):
        next(made)


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    for item in ahead(iter(range(10**9)), 2):
        if item == 5:
            break
    assert threading.active_count() == before
