"""Rows of every column type.

every_type.py make: prints the columns and their types, then the records, a line each.
every_type.py check LAYOUT FILE: compares what pyarrow reads from a .gz file with these rows; prints how many there are.
"""

import base64
import datetime
import decimal
import json
import random
import sys

ROWS = 500
UTC = datetime.timezone.utc
KEYS = [f"k{n}" for n in range(9)]

# A type is the name of a scalar, ("array", type), ("map", type) or ("row", {name: type}).
SCALARS = [
    "boolean",
    "integer",
    "bigint",
    "double",
    "decimal(38,10)",
    "decimal(20,3)",
    "decimal(9,9)",
    "varchar",
    "varbinary",
    "date",
    "time",
    "timestamp",
    "timestamp(6)",
]


def random_type(r, depth):
    shape = r.choice(["scalar", "array", "map", "row"]) if depth > 0 else "scalar"
    if shape == "scalar":
        return r.choice(SCALARS)
    if shape == "row":
        return ("row", {f"f{n}": random_type(r, depth - 1) for n in range(r.randrange(1, 4))})
    return (shape, random_type(r, depth - 1))


def columns():
    r = random.Random(5)
    chosen = dict(zip("abcdefghijklm", SCALARS))
    chosen |= {f"list_{name}": ("array", of) for name, of in zip("abcdefghijklm", SCALARS)}
    chosen |= {f"map_{name}": ("map", of) for name, of in zip("abcdefghijklm", SCALARS)}
    return chosen | {f"deep_{n}": random_type(r, 4) for n in range(24)}


COLUMNS = columns()


def name_of(kind):
    """A type as a column's type is written."""
    if isinstance(kind, str):
        return kind
    shape, of = kind
    if shape == "row":
        return "row(" + ",".join(f'"{name}" {name_of(part)}' for name, part in of.items()) + ")"
    return f"map(varchar,{name_of(of)})" if shape == "map" else f"array({name_of(of)})"


def digits_of(kind):
    digits, scale = kind.removeprefix("decimal(").removesuffix(")").split(",")
    return int(digits), int(scale)


def date(r):
    return datetime.date(1, 1, 1) + datetime.timedelta(r.randrange(3_652_059))


def point(r, step):
    # Those pyarrow can read: its parser knows the years from 1678 to 2261 only.
    since = r.randrange(-9 * 10**15, 9 * 10**15) // step * step
    return datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(microseconds=since)


def exact(r, digits, scale):
    with decimal.localcontext(prec=80):
        return decimal.Decimal(r.randrange(-(10**digits) + 1, 10**digits)).scaleb(-scale)


def scalar(r, kind):
    if kind.startswith("decimal"):
        return exact(r, *digits_of(kind))
    make = {
        "boolean": lambda: r.random() < 0.5,
        "integer": lambda: r.randrange(-(2**31), 2**31),
        "bigint": lambda: r.randrange(-(2**63), 2**63),
        "double": lambda: r.choice([r.random(), r.uniform(-1e300, 1e300), float(r.randrange(2**53)), 5e-324]),
        "varchar": lambda: "".join(chr(r.choice([r.randrange(128), r.randrange(0x20000, 0x20100)])) for _ in range(9)),
        "varbinary": lambda: r.randbytes(r.randrange(9)),
        "date": lambda: date(r),
        "time": lambda: (datetime.datetime.min + datetime.timedelta(microseconds=r.randrange(86_400_000_000))).time(),
        "timestamp": lambda: point(r, 1000),
        "timestamp(6)": lambda: point(r, 1),
    }
    return make[kind]()


def value(r, kind, present=0.8):
    if r.random() >= present:
        return None
    if isinstance(kind, str):
        return scalar(r, kind)
    shape, of = kind
    if shape == "array":
        return [value(r, of) for _ in range(r.randrange(4))]
    if shape == "map":
        return {key: value(r, of) for key in r.sample(KEYS, r.randrange(4))}
    return {name: value(r, part) for name, part in of.items()}


def rows():
    r = random.Random(4)
    return [{name: value(r, kind, 0.9) for name, kind in COLUMNS.items()} for _ in range(ROWS)]


def plain(value):
    if isinstance(value, dict):
        return {name: plain(of) for name, of in value.items()}
    if isinstance(value, list):
        return [plain(of) for of in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return value


def written(value):
    """JSON of a plain value, decimals with all their digits."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(of)}" for name, of in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return format(value, "f") if isinstance(value, decimal.Decimal) else json.dumps(value)


def make():
    print(json.dumps([(name, name_of(kind)) for name, kind in COLUMNS.items()]))
    for one in rows():
        print(written(plain(one)))


def arrow(pa, kind):
    """What pyarrow is to read a type as; maps as what has all keys there are."""
    if isinstance(kind, tuple):
        shape, of = kind
        if shape == "array":
            return pa.list_(arrow(pa, of))
        parts = dict.fromkeys(KEYS, of) if shape == "map" else of
        return pa.struct([(name, arrow(pa, part)) for name, part in parts.items()])
    if kind.startswith("decimal"):
        return pa.decimal128(*digits_of(kind))
    return {
        "boolean": pa.bool_(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "timestamp": pa.timestamp("ms", tz="UTC"),
        "timestamp(6)": pa.timestamp("us", tz="UTC"),
    }.get(kind, pa.string())


def found_value(kind, found, layout):
    """A value that pyarrow has read, as it was made."""
    if found is None:
        return None
    if isinstance(kind, tuple):
        shape, of = kind
        if shape == "array":
            return [found_value(of, item, layout) for item in found]
        parts = dict.fromkeys(KEYS, of) if shape == "map" else of
        return {name: found_value(part, found[name], layout) for name, part in parts.items()}
    if kind == "varbinary":
        return base64.b64decode(found, validate=True)
    if kind == "time":
        return datetime.time.fromisoformat(found)
    if kind == "date":
        return datetime.datetime.strptime(found, "%Y%m%d" if layout == "rakam" else "%Y-%m-%d").date()
    return found


def wanted_value(kind, value):
    """A value as it can be told from another: keys without a value are not."""
    if value is None or isinstance(kind, str):
        return value
    shape, of = kind
    if shape == "array":
        return [wanted_value(of, item) for item in value]
    parts = dict.fromkeys(KEYS, of) if shape == "map" else of
    return {name: wanted_value(part, value.get(name)) for name, part in parts.items()}


def check(layout, path):
    import pyarrow as pa
    import pyarrow.json

    schema = pa.schema([(name, arrow(pa, kind)) for name, kind in COLUMNS.items()])
    if layout == "rakam":
        schema = pa.schema([("properties", pa.struct(schema))])
    parse = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    read = pa.json.ReadOptions(block_size=1 << 24)
    with pa.input_stream(path, compression="gzip") as stream:
        found = pa.json.read_json(stream, read_options=read, parse_options=parse).to_pylist()
    if layout == "rakam":
        found = [line["properties"] for line in found]
    wanted = rows()
    assert len(found) == len(wanted), (len(found), len(wanted))
    for one, other in zip(wanted, found, strict=True):
        for name, kind in COLUMNS.items():
            made, read = wanted_value(kind, one[name]), found_value(kind, other[name], layout)
            assert made == read, (name, kind, made, read)
    print(len(found))


if sys.argv[1] == "make":
    make()
else:
    check(sys.argv[2], sys.argv[3])
