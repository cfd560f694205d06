"""Prints how many lines DuckDB reads from all files below a directory whose names end as given, and the sum of `properties.id`."""

import sys

import duckdb

root, ending = sys.argv[1:]
columns = "{'_time': 'BIGINT', '$schema': 'VARCHAR', '$table': 'VARCHAR', '_user': 'VARCHAR', 'properties': 'JSON'}"
query = f"""
    SELECT count(*), sum(CAST(properties ->> 'id' AS BIGINT)), count(DISTINCT properties ->> 'id')
    FROM read_json(?, format = 'newline_delimited', columns = {columns})
"""
print(*duckdb.execute(query, [f"{root}/**/*{ending}"]).fetchone())
