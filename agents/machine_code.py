"""How the compiled loops are compiled, and kept on disk.

A loop is made of functions of several files, each decorated with `inner`; one that Python calls is made with
`machine_code` and costs its compile time once, then a tenth of a second to load. None of them may allocate: numba's
counting of references would cost an eighth of the compile time and a tenth of the running time, so it is switched off
(`_nrt`), and numba refuses what would need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from numba import config, njit

inner = partial(njit, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)
"""What compiles the functions that only compiled loops call; leaving their wrappers out saves a fifth of the time
it takes. Python must not call them: a test wraps them in a function of its own.

`error_model="numpy"`: a division by zero gives infinity. The check for it would keep loops out of vector lanes.
"""

FILES = (
    "machine_code",
    "matmul",
    "compiled_nets",
    "compiled_worlds",
    "compiled_task",
    "ppo_arrays",
    "ppo_loop",
)
"""Files of this folder that decide what a loop is compiled to: when one changes, what is on disk no longer counts."""


@lru_cache
def machine_code(function: Any, *signature: Any) -> Any:
    """Return the compiled function of this signature."""
    compiled = njit(error_model="numpy", cache=True, no_cfunc_wrapper=True, _nrt=False)(function)
    # numba asks for the time of the function's own file only; what it calls is in others.
    own = Path(function.__code__.co_filename)
    files = [own, *(Path(__file__).with_name(f"{name}.py") for name in FILES)]
    stamps = tuple((file.stat().st_mtime, file.stat().st_size) for file in files)
    store = compiled._cache._cache_file
    store._source_stamp = stamps
    try:
        store._load_index()
    except (AttributeError, ImportError):  # it names a class that an older version had elsewhere
        store.flush()
    with _quick_optimisation():
        compiled.compile(signature)
    compiled.disable_compile()  # so that functions are passed as pointers, not compiled in
    return compiled


@contextmanager
def _quick_optimisation() -> Iterator[None]:
    """Let LLVM optimise at level 1: 2 s less to compile than at level 3, and 5 % more to run, as tiles are by hand."""
    before, config.OPT = config.OPT, type(config.OPT)(1)
    try:
        yield
    finally:
        config.OPT = before
