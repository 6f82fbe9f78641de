"""What was measured goes into the documentation: the plot as a file, tables between markers of files that stay."""

from __future__ import annotations

from pathlib import Path

from benchmarks.fleet.errors import BenchmarkError
from benchmarks.fleet.plot import plot
from benchmarks.fleet.report import document, gist
from benchmarks.fleet.results import Results


def publish(results: Results, root: Path) -> None:
    """Write docs/benchmarks.svg, and the generated parts of docs/benchmarks.md and README.md, below `root`."""
    for path, content in pages(results, root).items():
        path.write_text(content, encoding="utf-8")
        print(f"written: {path.relative_to(root)}")


def pages(results: Results, root: Path) -> dict[Path, str]:
    """The files as they should be."""
    places = {root / "docs" / "benchmarks.md": ("fleet", document), root / "README.md": ("benchmark", gist)}
    changed = {
        path: between(path.read_text(encoding="utf-8"), marker, write(results), where=str(path.relative_to(root)))
        for path, (marker, write) in places.items()
    }
    return {**changed, root / "docs" / "benchmarks.svg": plot(results)}


def between(text: str, marker: str, content: str, *, where: str) -> str:
    """`text` with `content` between the comments `<!-- marker -->` and `<!-- /marker -->`."""
    opening, closing = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    if text.count(opening) != 1 or text.count(closing) != 1 or text.index(opening) > text.index(closing):
        raise BenchmarkError(f"{where} needs the lines {opening} and {closing}, once each, in this order")
    return f"{text.partition(opening)[0]}{opening}\n{content}\n{closing}{text.partition(closing)[2]}"
