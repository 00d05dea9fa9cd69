"""Reads OpenMetrics from stdin, strictly; prints the families as JSON: name, type, help, and samples of name, labels, value."""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps([
    {"name": family.name, "type": family.type, "help": family.documentation,
     "samples": [[sample.name, sample.labels, sample.value] for sample in family.samples]}
    for family in families
]))
