"""Reads metrics from standard input with the parser of Prometheus' own Python client and checks what the text format
requires. Prints one line of JSON per metric: name, type, help and labels."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

text = sys.stdin.read()
assert text.endswith("\n"), "the last line does not end"
seen = set()
names = set()
for family in text_string_to_metric_families(text):
    name = family.name + "_total" if family.type == "counter" else family.name
    assert family.type in ("counter", "gauge", "histogram"), f"{name} has the type {family.type}"
    assert family.documentation, f"{name} has no help"
    assert name not in names, f"{name} appears twice"
    assert family.samples, f"{name} has no samples"
    names.add(name)
    labels = set()
    buckets = {}
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        assert key not in seen, f"{key} appears twice"
        seen.add(key)
        labels |= sample.labels.keys() - {"le"}
        if sample.name.endswith(("_bucket", "_count")) and family.type == "histogram":
            series = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
            buckets.setdefault(series, []).append(sample.value)
    for series, values in buckets.items():
        assert values == sorted(values), f"the buckets of {name} {series} do not grow: {values}"
        assert values[-1] == values[-2], f"{name} {series} counts others than its last bucket: {values}"
    print(json.dumps({"name": name, "type": family.type, "help": family.documentation, "labels": sorted(labels)}))
