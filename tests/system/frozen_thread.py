"""Holds one thread of another process still, as a device that hangs or a lock that is never given back would. With ptrace: a
signal stops whole processes, which then answer nothing at all."""
import ctypes
import os
import time
from pathlib import Path

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def thread_of(pid, name):
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise LookupError(f"process {pid} has no thread '{name}'")


class Frozen:
    """`with Frozen(thread):` ... PermissionError where the kernel does not let us."""

    def __init__(self, thread):
        self._thread = thread

    def __enter__(self):
        _ptrace(_SEIZE, self._thread)
        _ptrace(_INTERRUPT, self._thread)
        end = time.monotonic() + 10
        while os.waitpid(self._thread, _WALL | os.WNOHANG)[0] == 0:
            if time.monotonic() > end:
                raise TimeoutError("the thread does not stop")
            time.sleep(0.001)
        return self

    def __exit__(self, *_):
        _ptrace(_DETACH, self._thread)
