"""Child processes of the Python tests: none outlives its test, and all are stopped in one way."""
import ctypes
import signal
import subprocess

STOP_LIMIT_S = 20
_libc = ctypes.CDLL(None)


def die_with_parent():
    """For preexec_fn: whatever becomes of the test, its children end with it."""
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def stop_all(processes):
    """Asks all of them to end at once, and kills who has not after a while. Frozen ones are woken for it."""
    for p in processes:
        p.send_signal(signal.SIGCONT)
        p.terminate()
    for p in processes:
        try:
            p.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
