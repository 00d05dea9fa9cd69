"""Validates documents by JSON Schema: the schemas by name in the first line, then a line `[name, document]` each; answers a line each, empty or what is wrong."""
import json
import sys

import fastjsonschema

validators = {name: fastjsonschema.compile(schema) for name, schema in json.loads(sys.stdin.readline()).items()}
for line in sys.stdin:
    name, document = json.loads(line)
    try:
        validators[name](document)
        print()
    except fastjsonschema.JsonSchemaValueException as wrong:
        print(wrong.message)
