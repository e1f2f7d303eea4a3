"""Wall time and peak memory of a command, from a process that is itself small.

    python -m bench.peak COMMAND ...

A child begins as a copy of its parent, and its peak counts that copy: so a benchmark that has loaded models asks this
module, in a process of its own, to start what it measures. Prints one JSON line.
"""

import json
import os
import subprocess
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    facts = {
        "exit": os.waitstatus_to_exitcode(status),
        "s": round(time.perf_counter() - began, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }
    print(json.dumps(facts))
