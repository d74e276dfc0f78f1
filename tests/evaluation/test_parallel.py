import threading
import time

import pytest
import torch

from retseg.evaluation.parallel import in_order


def test_results_come_in_order_whichever_is_done_first():
    delays = [0.05, 0.0, 0.02, 0.0, 0.01, 0.0]
    assert list(in_order(lambda place: (time.sleep(delays[place]), place)[1], range(6), 3)) == list(range(6))


def test_several_work_at_once_on_one_core_each_and_pytorch_is_left_as_found():
    together, threads = threading.Barrier(2, timeout=10), torch.get_num_threads()
    torch.set_num_threads(2)
    seen = list(in_order(lambda _: (together.wait(), torch.get_num_threads())[1], range(4), 2))
    assert seen == [1] * 4
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)


def test_an_error_of_one_is_raised_and_the_rest_is_dropped():
    started, threads = [], torch.get_num_threads()

    def fails(place):
        started.append(place)
        raise ValueError(f"scan {place}")

    with pytest.raises(ValueError, match="scan 0"):
        list(in_order(fails, range(1000), 1))
    assert len(started) < 10
    assert torch.get_num_threads() == threads
