"""x"""

from pathlib import Path
from benchmarks.fleet.results import Results


def publish(r: Results, p: Path) -> None: ...
