"""How many CPUs this process may use; apart from the profiles, as every voice asks when it is loaded."""

from __future__ import annotations

import math
import os
from pathlib import Path

from targets import cgroup


def usable_cpus(root: Path = Path("/")) -> int:
    """CPUs that this process may keep busy: its affinity, and the whole CPUs of its control group's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # no affinity outside Linux
        count = os.cpu_count() or 1
    quota = cgroup.cpu_quota(root)
    if quota is not None:
        # Rounded down: one thread too many spends the quota on waiting, and the group is then stopped for the
        # rest of the period, which is heard as a gap.
        count = min(count, math.floor(quota))
    return max(1, count)
