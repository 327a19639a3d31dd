"""How much memory a piece of work took at its highest."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType

_STATUS = Path("/proc/self/status")
_RESET = Path("/proc/self/clear_refs")
_HIGHEST = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Peak:
    """Measure the highest resident memory of this process while a block runs.

    Linux only: the kernel's high-water mark is set back at the start of the block. All that the process
    holds counts, the table and the libraries included.

    Attributes
    ----------
    mb : float or None
        MiB, after the block; None where the system does not tell.

    Examples
    --------
    >>> with Peak() as peak:
    ...     block = bytearray(1 << 20)
    >>> peak.mb is None or peak.mb > 1
    True
    """

    mb: float | None = None

    def __enter__(self) -> Peak:
        try:
            _RESET.write_text("5", encoding="ascii")
            self._told = True
        except OSError:
            self._told = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._told and (found := _HIGHEST.search(_STATUS.read_text(encoding="ascii"))):
            self.mb = int(found[1]) / 1024


def highest(*peaks: float | None) -> float | None:
    """Return the highest of those that are known; None where none is."""
    return max((peak for peak in peaks if peak is not None), default=None)
