"""How the C library gives memory back."""

import ctypes

_M_MMAP_THRESHOLD = -3  # malloc.h
_LARGE_BYTES = 128 * 1024


def give_large_blocks_back() -> None:
    """Have each block of 128 KB or more go back to the system as soon as it is freed.

    That is glibc's way at first, but with each such block that is freed it raises the size, up to 32 MB. Then a few
    small blocks among large ones keep all of them: a hundred slow readers of files left 40 MB. Setting the size stops
    that (mallopt(3)). Other C libraries have no such call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
