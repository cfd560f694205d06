"""Prints how many lines DuckDB reads from all .gz files below a directory, and the sum of `properties.id`."""

import sys

import duckdb

columns = "{'_time': 'BIGINT', '$schema': 'VARCHAR', '$table': 'VARCHAR', '_user': 'VARCHAR', 'properties': 'JSON'}"
query = f"""
    SELECT count(*), sum(CAST(properties ->> 'id' AS BIGINT)), count(DISTINCT properties ->> 'id')
    FROM read_json(?, format = 'newline_delimited', columns = {columns})
"""
print(*duckdb.execute(query, [sys.argv[1] + "/**/*.gz"]).fetchone())
