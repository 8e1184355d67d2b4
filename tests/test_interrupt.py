"""Ctrl-C ends a long call, in one thread and in a team, and the next call is as if nothing had been."""

import os
import signal
import threading

import numpy as np
import pytest

from fastrnn import _core

INPUTS = HIDDEN = 256


@pytest.fixture(params=[1, 2])
def threads(request):
    before = _core.get_num_threads()
    _core.set_num_threads(request.param)
    yield request.param
    _core.set_num_threads(before)


def weights():
    rng = np.random.default_rng(3)
    shapes = (4 * HIDDEN, INPUTS), (4 * HIDDEN, HIDDEN), (4 * HIDDEN,), (4 * HIDDEN,)
    return tuple(rng.uniform(-0.1, 0.1, shape).astype(np.float32) for shape in shapes)


def long_input(rows):
    # A quarter of a second of work on two fast cores. An outer stride of 0: x itself takes a few bytes.
    row = np.random.default_rng(4).standard_normal((1, rows, INPUTS)).astype(np.float32)
    return np.broadcast_to(row, (25_000 // rows, rows, INPUTS))


def interrupted(call):
    """Whether SIGINT, sent while it runs, comes out of `call` as KeyboardInterrupt."""
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        call()
        timer.join()
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("rows", [1, 16])
def test_backward_leaves_early(threads, rows):
    """An unfinished backward pass has not added all of the weight gradients."""
    x, w = long_input(rows), weights()
    y, _, saved = _core.recurrent_forward("lstm", x, None, w, None, False, True)
    y_again, _, saved_again = _core.recurrent_forward("lstm", x, None, w, None, False, True)
    whole = tuple(np.zeros_like(array) for array in w)
    _core.recurrent_backward(saved, x, None, w, None, y, y, None, whole, None, False)
    part = tuple(np.zeros_like(array) for array in w)
    arguments = (saved_again, x, None, w, None, y_again, y_again, None, part, None, False)
    assert interrupted(lambda: _core.recurrent_backward(*arguments))
    assert any((a != b).any() for a, b in zip(part, whole, strict=True))
    with pytest.raises(RuntimeError, match="can be used once"):
        _core.recurrent_backward(*arguments)


def test_the_next_call_is_whole(threads):
    x, w = long_input(4), weights()
    before, _, _ = _core.recurrent_forward("lstm", x[:50], None, w, None, False, False)
    assert interrupted(lambda: _core.recurrent_forward("lstm", x, None, w, None, False, False))
    after, _, _ = _core.recurrent_forward("lstm", x[:50], None, w, None, False, False)
    np.testing.assert_array_equal(before, after)
