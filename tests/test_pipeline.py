"""Work side by side: what comes out is what would come one after the other, and nothing runs far ahead or is lost."""

import threading

import pytest

from livelav.render.pipeline import behind, mapped


def test_items_are_asked_for_as_results_are() -> None:
    asked: list[int] = []

    def items():
        for number in range(100):
            asked.append(number)
            yield number

    for number, (item, text) in enumerate(mapped(str, items(), 2)):
        assert (item, text) == (number, str(number))
        assert len(asked) <= number + 1 + 4
    assert len(asked) == 100


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

    with pytest.raises(ValueError, match="broke off"):
        list(mapped(str, items(), 2))
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
    pairs = mapped(str, iter(range(1000)), 3)
    next(pairs)
    assert threading.active_count() > before
    pairs.close()
    with pytest.raises(KeyboardInterrupt), behind(3) as do:
        do(int)
        raise KeyboardInterrupt
    assert threading.active_count() == before
