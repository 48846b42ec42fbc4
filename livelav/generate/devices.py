"""What this machine has to compute on, asked of the driver itself: no engine is loaded to find out."""

import ctypes
import sys


def has_cuda() -> bool:
    """Whether an NVIDIA driver is here and sees a card."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False
