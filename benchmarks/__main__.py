"""Run every benchmark, or the named ones, each in its own process: `make bench`.

Each prints ratios to a baseline measured in the same run, or the reason why it is skipped.
docs/benchmarks.md records results and machines.
"""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NOT_RUN = {
    "common",
    "everyday_data",
    "everyday_worlds",
    "fuzz",
    "peers",
}  # nor names with a leading _


def main() -> int:
    scripts = sorted(
        path for path in HERE.rglob("*.py") if path.stem not in NOT_RUN and path.stem[0] != "_"
    )
    wanted = set(sys.argv[1:])
    unknown = wanted - {path.stem for path in scripts}
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are:", *(p.stem for p in scripts))
        return 2
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    failed = []
    for path in scripts:
        if wanted and path.stem not in wanted:
            continue
        print(f"\n## {path.relative_to(HERE)}\n", flush=True)
        if subprocess.run([sys.executable, path], cwd=path.parent).returncode not in (0, 1):
            failed.append(path.stem)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
