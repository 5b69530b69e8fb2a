"""Telling the C library's allocator that a server asks again for what it has just given back."""

import ctypes
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 16 * 1024 * 1024
ON_THE_HEAP_BYTES = 4 * 1024 * 1024


def keep_pages() -> None:
    """Keeps up to KEPT_BYTES of free memory, with glibc; another library goes on as it does.

    Unless told, glibc hands every body of a megabyte back to the kernel, and takes as long to get one again, page by
    page, as all other work on it together.
    """
    with suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, ON_THE_HEAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
