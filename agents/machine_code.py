"""How the compiled loops are compiled, and kept on disk.

A loop is made of functions of several files, each decorated with `inner`; one that Python calls is made with
`machine_code` and costs its compile time once, then a tenth of a second to load.
"""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from numba import njit

inner = partial(njit, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""What compiles the functions that only compiled loops call; leaving their wrappers out saves a fifth of the time
it takes. Python must not call them: a test wraps them in a function of its own.

`error_model="numpy"`: a division by zero gives infinity. The check for it would keep loops out of vector lanes.
"""

FILES = ("machine_code", "matmul", "compiled_nets", "compiled_worlds", "compiled_task", "ppo_native")
"""Files of this folder whose code is compiled into loops: when one changes, what is on disk no longer counts."""


@lru_cache
def machine_code(function: Any, *signature: Any) -> Any:
    """Return the compiled function of this signature."""
    compiled = njit(error_model="numpy", cache=True)(function)
    # numba asks for the time of the function's own file only; what it calls is in others.
    own = Path(function.__code__.co_filename)
    files = [own, *(Path(__file__).with_name(f"{name}.py") for name in FILES)]
    stamps = tuple((file.stat().st_mtime, file.stat().st_size) for file in files)
    compiled._cache._cache_file._source_stamp = stamps
    compiled.compile(signature)
    compiled.disable_compile()  # so that functions are passed as pointers, not compiled in
    return compiled
