"""Reading and compiling stay within 256 MiB and a minute of CPU time on inputs made to exceed both.

Each input is read in a process of its own: forked from one that has loaded the package, with a limit on its
address space and on its CPU time.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

import pytest

from rewardspec.compiler import compile_spec
from rewardspec.errors import SpecError
from rewardspec.vocabulary import loads
from tests.fuzz.nasty import inputs

GROWTH = 256 * 2**20
SECONDS = 60

INPUTS = dict(inputs())

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the limits are Linux's"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Load what compiling loads at first use, so that a limit counts what an input costs."""
    compile_spec(loads("propositions: [a]\nreward: [{ltl: F a}]\n"))


def outcome(work: Callable[[], object]) -> str:
    """Return what came of some work within the limits: `done`, the name of the exception, or the signal."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(work, sender))
    process.start()
    sender.close()
    try:
        return str(receiver.recv())
    except EOFError:
        process.join()
        return signal.Signals(-(process.exitcode or 0)).name if (process.exitcode or 0) < 0 else "exit"
    finally:
        process.join()


def _work(work: Callable[[], object], sender: Connection) -> None:
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * os.sysconf("SC_PAGESIZE") + GROWTH
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    try:
        work()
    except BaseException as error:
        sender.send(type(error).__name__)
    else:
        sender.send("done")
    os._exit(0)


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_made_to_hurt_is_compiled_or_refused(name: str) -> None:
    assert outcome(lambda: compile_spec(loads(INPUTS[name]))) in ("done", SpecError.__name__)


def test_the_limits_are_felt() -> None:
    assert outcome(lambda: bytearray(GROWTH + GROWTH // 4)) == "MemoryError"
    assert outcome(lambda: bytearray(GROWTH // 2)) == "done"
