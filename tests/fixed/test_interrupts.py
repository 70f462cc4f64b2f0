"""Ctrl-C while numba compiles: neither lost nor fatal to the compiler."""

import signal
import threading

import pytest
from numba import njit
from numba.core import event

from picojoule.fixed.interrupts import COMPILING


@pytest.fixture(autouse=True)
def ctrl_c():
    """Ctrl-C as an interpreter starts with it, whatever runs the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_for_the_outermost_end():
    event.start_event(COMPILING)
    event.start_event(COMPILING)
    signal.raise_signal(signal.SIGINT)
    event.end_event(COMPILING)
    with pytest.raises(KeyboardInterrupt):
        event.end_event(COMPILING)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_other_threads_and_ignored_interrupts_are_left_alone():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    event.start_event(COMPILING)
    event.end_event(COMPILING)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
    other = threading.Thread(target=event.start_event, args=(COMPILING,))
    other.start()
    other.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Strike(event.Listener):
    """Ctrl-C in the middle of a compilation."""

    def on_start(self, _):
        signal.raise_signal(signal.SIGINT)

    def on_end(self, _):
        pass


def test_what_is_compiled_when_it_strikes_is_compiled_all_the_same():
    @njit  # of numba: ours would find it in its cache, where an earlier run has left it
    def twice(x):
        return 2 * x

    with event.install_listener("numba:compile", Strike()), pytest.raises(KeyboardInterrupt):
        twice(1)
    assert len(twice.signatures) == 1 and twice(21) == 42
