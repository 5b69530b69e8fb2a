"""What a process tree has used: CPU seconds, memory, file descriptors; and percentiles."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

MB = 1024 * 1024


class Tree:
    """One process and its descendants, looked up again at each reading."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def lives(self) -> bool:
        """Tell whether the first process still runs."""
        return self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE

    def cpu_s(self) -> float:
        """User and system seconds so far, of living processes."""
        return self._sum(_cpu_s)

    def rss_mb(self) -> float:
        """Resident memory now, MB."""
        return self._sum(lambda process: process.memory_info().rss / MB)

    def peak_rss_mb(self) -> float:
        """Highest resident memory so far, MB; the present one where the kernel keeps no peak."""
        return self._sum(_peak_rss_mb)

    def forget_peak(self) -> None:
        """Let the highest resident memory start anew at the present one; where the kernel can: Linux."""
        for process in [self._root, *self._root.children(recursive=True)]:
            with suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")

    def fds(self) -> int:
        """Open file descriptors, sockets included."""
        return int(self._sum(lambda process: process.num_fds()))

    def _sum(self, read: Callable[[psutil.Process], float]) -> float:
        total = 0.0
        for process in [self._root, *self._root.children(recursive=True)]:
            try:
                total += read(process)
            except psutil.NoSuchProcess:
                if process is self._root:
                    raise
        return total


def _cpu_s(process: psutil.Process) -> float:
    # Linux: CPUCLOCK_SCHED of the process, all threads, in nanoseconds; psutil's counters step by 10 ms.
    try:
        return time.clock_gettime((~process.pid << 3) | 2)
    except (AttributeError, OSError):
        times = process.cpu_times()
        return times.user + times.system


def _peak_rss_mb(process: psutil.Process) -> float:
    try:
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii", errors="replace")
        return float(status.split("VmHWM:")[1].split()[0]) / 1024
    except (OSError, IndexError):
        return process.memory_info().rss / MB


def machine_cpu_s() -> float:
    """CPU seconds so far of all processes of the machine, without interrupts and stolen time."""
    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)


@contextmanager
def no_gc() -> Iterator[None]:
    """Keep the client's garbage collector out of the client's timings."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest-rank percentile, `share` in 0..1; NaN when there is nothing."""
    if not values:
        return float("nan")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def median(values: Sequence[float]) -> float:
    """Median; NaN when there is nothing."""
    return statistics.median(values) if values else float("nan")
