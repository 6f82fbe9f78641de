"""The text that Prometheus reads, held against its own client's parser."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from envfab.util.prometheus import Counter, Gauge, Histogram, Observations, exposition

LABELS = st.dictionaries(
    st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(st.characters(codec="utf-8")), max_size=3
)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")).map(str.strip),
    st.lists(
        st.tuples(LABELS, st.floats(allow_nan=False)), min_size=1, unique_by=lambda one: tuple(sorted(one[0].items()))
    ),
)
def test_every_label_and_value_is_read_as_it_was_written(
    text: str, samples: list[tuple[dict[str, str], float]]
) -> None:
    """Whatever characters the values of labels have."""
    (family,) = text_string_to_metric_families(exposition([Gauge("some_metric", text, tuple(samples))]))
    assert family.type == "gauge"
    assert [(one.labels, one.value) for one in family.samples] == samples


def test_what_is_not_known_is_left_out() -> None:
    """A metric without samples has no lines at all, and lone surrogates break nothing."""
    assert exposition([Gauge("a", "A.", ())]) == ""
    assert (
        exposition([Gauge("a", "A.", (({"path": "/\udce4"}, 1),))]) == '# HELP a A.\n# TYPE a gauge\na{path="/?"} 1\n'
    )


def test_counters_and_histograms_are_read_as_what_they_are() -> None:
    """A histogram's buckets are cumulative, and the last one is all."""
    text = exposition(
        [
            Counter("hits_total", "Hits.", (({"route": "a"}, 3),)),
            Histogram("took_seconds", "Took.", (({"route": "a"}, Observations(((0.1, 1), (1.0, 2)), 3, 7.5)),)),
        ]
    )
    counter, histogram = text_string_to_metric_families(text)
    assert (counter.type, [one.value for one in counter.samples]) == ("counter", [3])
    assert histogram.type == "histogram"
    assert [(one.name, one.labels.get("le"), one.value) for one in histogram.samples] == [
        ("took_seconds_bucket", "0.1", 1), ("took_seconds_bucket", "1.0", 2), ("took_seconds_bucket", "+Inf", 3),
        ("took_seconds_sum", None, 7.5), ("took_seconds_count", None, 3),
    ]  # fmt: skip
