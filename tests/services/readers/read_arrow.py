"""Prints how many lines pyarrow reads from all .gz files below a directory, and the sum of `properties.id`."""

import pathlib
import sys

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

schema = pa.schema([("_time", pa.int64()), ("$table", pa.string()), ("properties", pa.struct([("id", pa.int64())]))])
options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
rows, identities = 0, []
for path in pathlib.Path(sys.argv[1]).rglob("*.gz"):
    with pa.input_stream(str(path), compression="gzip") as stream:
        table = pa.json.read_json(stream, parse_options=options)
    rows += table.num_rows
    identities += pc.struct_field(table["properties"], "id").to_pylist()
print(rows, sum(identities), len(set(identities)))
