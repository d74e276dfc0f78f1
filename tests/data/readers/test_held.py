import threading

from retseg.data.readers.held import Held, Shelf


class Opened:
    def __init__(self):
        self.num_opened = self.num_closed = 0

    def held(self, shelf, numbers):
        def open_value():
            self.num_opened += 1
            return "value"

        def close_value(_):
            self.num_closed += 1

        return Held(shelf, open_value, numbers, close_value)


def test_opened_at_the_first_read_and_closed_when_each_number_was_read():
    opened = Opened()
    held = opened.held(Shelf(), (3, 5))
    assert not held.is_open
    assert held.read(3, str.upper) == "VALUE"
    held.read(3, str.upper)
    held.read(None, str.upper)
    assert held.is_open
    held.read(5, str.upper)
    assert not held.is_open
    assert (opened.num_opened, opened.num_closed) == (1, 1)
    held.read(5, str.upper)
    assert held.is_open  # a second round
    held.read(3, str.upper)
    assert (opened.num_opened, opened.num_closed) == (2, 2)


def test_a_shelf_keeps_those_used_last():
    shelf = Shelf(capacity=2)
    first, second, third = (Opened().held(shelf, range(9)) for _ in range(3))
    first.read(0, str.upper)
    second.read(0, str.upper)
    first.read(1, str.upper)
    third.read(0, str.upper)
    assert (first.is_open, second.is_open, third.is_open) == (True, False, True)


def test_a_number_whose_read_failed_counts_as_read():
    held = Opened().held(Shelf(), (0,))
    try:
        held.read(0, int)
    except ValueError:
        assert not held.is_open
    else:
        raise AssertionError("int('value') went well")


def test_nobody_uses_it_beside_another():
    shelf = Shelf(capacity=1)
    inside = []
    worst = []

    def use(value):
        inside.append(value)
        worst.append(len(inside))
        inside.pop()

    many = [Opened().held(shelf, range(50)) for _ in range(2)]

    def work(held):
        for number in range(50):
            held.read(number, use if held is many[0] else str.upper)

    threads = [threading.Thread(target=work, args=(many[i % 2],)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert not any(thread.is_alive() for thread in threads)
    assert max(worst) == 1
    assert len(worst) == 150
