"""Functions over arrays, compiled by numba; kept on disk, so that only a first run waits for it."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compiled at its first call for the arrays that it is given."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))
