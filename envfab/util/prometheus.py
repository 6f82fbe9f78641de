"""Metrics as Prometheus reads them: its text format, version 0.0.4, which node_exporter reads from files.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric whose value can go up and down; `samples` are (labels, value)."""

    name: str
    help: str
    samples: tuple[tuple[Labels, float], ...]


@dataclass(frozen=True, slots=True)
class Counter:
    """A metric that only grows, whose name ends in `_total`; `samples` are (labels, value)."""

    name: str
    help: str
    samples: tuple[tuple[Labels, float], ...]


@dataclass(frozen=True, slots=True)
class Observations:
    """How many observations were at most each bound, by ascending bounds, how many there were in all, and their sum."""

    buckets: tuple[tuple[float, float], ...]
    count: float
    sum: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """A metric that counts observations in buckets; `samples` are (labels, distribution)."""

    name: str
    help: str
    samples: tuple[tuple[Labels, Observations], ...]


Metric = Gauge | Counter | Histogram


def exposition(metrics: Iterable[Metric]) -> str:
    """Return the text of metrics. One without samples is left out: its value is not known."""
    lines: list[str] = []
    for metric in metrics:
        if metric.samples:
            kind = type(metric).__name__.lower()
            lines += [f"# HELP {metric.name} {_escaped(metric.help)}", f"# TYPE {metric.name} {kind}"]
            lines += _samples(metric)
    return "".join(f"{line}\n" for line in lines)


def _samples(metric: Metric) -> Iterator[str]:
    if isinstance(metric, Histogram):
        for labels, distribution in metric.samples:
            yield from _distribution(metric.name, labels, distribution)
    else:
        yield from (f"{metric.name}{_labels(labels)} {value!r}" for labels, value in metric.samples)


def _distribution(name: str, labels: Labels, distribution: Observations) -> Iterator[str]:
    bounds = [(repr(bound), count) for bound, count in distribution.buckets] + [("+Inf", distribution.count)]
    yield from (f"{name}_bucket{_labels({**labels, 'le': bound})} {count!r}" for bound, count in bounds)
    yield f"{name}_sum{_labels(labels)} {distribution.sum!r}"
    yield f"{name}_count{_labels(labels)} {distribution.count!r}"


def _labels(labels: Labels) -> str:
    found = ",".join(f'{name}="{_escaped(value, quoted=True)}"' for name, value in labels.items())
    return f"{{{found}}}" if found else ""


def _escaped(text: str, quoted: bool = False) -> str:
    text = text.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text
