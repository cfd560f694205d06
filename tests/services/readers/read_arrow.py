"""Prints how many lines pyarrow reads from all files below a directory whose names end as given, and the sum of `properties.id`."""

import pathlib
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

root, ending = sys.argv[1:]
compression = {".gz": "gzip", ".zst": "zstd"}.get(ending)
schema = pa.schema([("_time", pa.int64()), ("$table", pa.string()), ("properties", pa.struct([("id", pa.int64())]))])
options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
rows, identities = 0, []
for path in pathlib.Path(root).rglob("*" + ending):
    with pa.input_stream(str(path), compression=compression) as stream:
        table = pa.json.read_json(stream, parse_options=options)
    rows += table.num_rows
    identities += pc.struct_field(table["properties"], "id").to_pylist()
print(rows, sum(identities), len(set(identities)))
