"""Work side by side: what comes out is what would come one after the other, and nothing runs far ahead or is lost."""

import threading

import pytest

from livelav.pipeline import ahead, behind, mapped


def test_items_come_in_order_and_at_most_so_many_are_made_ahead() -> None:
    made: list[int] = []

    def items():
        for number in range(100):
            made.append(number)
            yield number

    for number, item in enumerate(ahead(items(), 3)):
        assert item == number
        assert len(made) <= number + 1 + 3
    assert len(made) == 100


def test_each_item_comes_with_its_own_result_however_long_it_takes() -> None:
    gates = [threading.Event() for _ in range(40)]

    def work(number: int) -> int:
        for other in gates[max(number - 1, 0) : number]:  # every even one waits for the one after it to begin
            other.set()
        if number % 2 == 0 and number + 1 < len(gates):
            gates[number].wait(5.0)
        return number * number

    assert list(mapped(work, iter(range(40)), 2)) == [(n, n * n) for n in range(40)]


def test_calls_are_done_in_order_and_all_of_them() -> None:
    done: list[int] = []
    with behind(2) as do:
        for number in range(50):
            do(done.append, number)
    assert done == list(range(50))


def test_what_goes_wrong_is_raised_where_the_result_is_asked_for() -> None:
    def items():
        yield 1
        raise ValueError("the sound broke off")

    found = ahead(items(), 2)
    assert next(found) == 1
    with pytest.raises(ValueError, match="broke off"):
        next(found)
    with pytest.raises(ZeroDivisionError):
        list(mapped(lambda n: 1 // n, iter([1, 0]), 2))
    done: list[int] = []
    with pytest.raises(ZeroDivisionError), behind(2) as do:
        do(lambda: 1 // 0)
        for number in range(10):
            do(done.append, number)
    assert len(done) <= 3, "no more was begun than waited"


def test_threads_end_with_whoever_began_them() -> None:
    before = threading.active_count()
    found = ahead(iter(range(1000)), 5)
    pairs = mapped(str, found, 3)
    next(pairs)
    assert threading.active_count() > before
    pairs.close()
    found.close()
    with pytest.raises(KeyboardInterrupt), behind(3) as do:
        do(int)
        raise KeyboardInterrupt
    assert threading.active_count() == before
