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
COLUMNS = {
    "b": "boolean",
    "i": "integer",
    "l": "bigint",
    "d": "double",
    "dec": "decimal(38,10)",
    "s": "varchar",
    "bin": "varbinary",
    "date": "date",
    "t": "time",
    "ms": "timestamp",
    "us": "timestamp(6)",
    "list": "array(array(bigint))",
    "days": "array(date)",
    "map": "map(varchar,double)",
    "st": 'row("at" timestamp,"of" array(row("z" decimal(20,3),"bytes" varbinary)))',
}


def date(r):
    return datetime.date(1, 1, 1) + datetime.timedelta(r.randrange(3_652_059))


def point(r, step):
    # Those pyarrow can read: its parser knows the years from 1678 to 2261 only.
    since = r.randrange(-9 * 10**15, 9 * 10**15) // step * step
    return datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(microseconds=since)


def exact(r, digits, scale):
    with decimal.localcontext(prec=80):
        return decimal.Decimal(r.randrange(-(10**digits) + 1, 10**digits)).scaleb(-scale)


def some(r, make, least=0, most=4):
    return [make() if r.random() < 0.8 else None for _ in range(r.randrange(least, most))]


def row(r):
    make = {
        "b": lambda: r.random() < 0.5,
        "i": lambda: r.randrange(-(2**31), 2**31),
        "l": lambda: r.randrange(-(2**63), 2**63),
        "d": lambda: r.choice([r.random(), r.uniform(-1e300, 1e300), float(r.randrange(2**53)), 5e-324]),
        "dec": lambda: exact(r, 38, 10),
        "s": lambda: "".join(chr(r.choice([r.randrange(128), r.randrange(0x20000, 0x20100)])) for _ in range(9)),
        "bin": lambda: r.randbytes(r.randrange(9)),
        "date": lambda: date(r),
        "t": lambda: (datetime.datetime.min + datetime.timedelta(microseconds=r.randrange(86_400_000_000))).time(),
        "ms": lambda: point(r, 1000),
        "us": lambda: point(r, 1),
        "list": lambda: some(r, lambda: some(r, make["l"])),
        "days": lambda: some(r, make["date"]),
        "map": lambda: {f"k{n}": make["d"]() for n in r.sample(range(9), r.randrange(4))},
        "st": lambda: {
            "at": r.choice([None, make["ms"]()]),
            "of": some(r, lambda: {"z": exact(r, 20, 3), "bytes": r.choice([None, make["bin"]()])}),
        },
    }
    return {name: make[name]() if r.random() < 0.9 else None for name in COLUMNS}


def rows():
    r = random.Random(4)
    return [row(r) for _ in range(ROWS)]


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
    print(json.dumps(list(COLUMNS.items())))
    for one in rows():
        print(written(plain(one)))


def check(layout, path):
    import pyarrow as pa
    import pyarrow.json

    double = pa.struct([(f"k{n}", pa.float64()) for n in range(9)])
    inner = pa.struct([("z", pa.decimal128(20, 3)), ("bytes", pa.string())])
    fields = {
        "b": pa.bool_(),
        "i": pa.int32(),
        "l": pa.int64(),
        "d": pa.float64(),
        "dec": pa.decimal128(38, 10),
        "s": pa.string(),
        "bin": pa.string(),
        "date": pa.string(),
        "t": pa.string(),
        "ms": pa.timestamp("ms", tz="UTC"),
        "us": pa.timestamp("us", tz="UTC"),
        "list": pa.list_(pa.list_(pa.int64())),
        "days": pa.list_(pa.string()),
        "map": double,
        "st": pa.struct([("at", pa.timestamp("ms", tz="UTC")), ("of", pa.list_(inner))]),
    }
    schema = pa.schema(list(fields.items()))
    if layout == "rakam":
        schema = pa.schema([("properties", pa.struct(schema))])
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    with pa.input_stream(path, compression="gzip") as stream:
        found = pa.json.read_json(stream, parse_options=options).to_pylist()
    if layout == "rakam":
        found = [line["properties"] for line in found]

    def day(text):
        if text is None:
            return None
        if layout == "rakam":
            return datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
        return datetime.date.fromisoformat(text)

    def bytes_of(text):
        return None if text is None else base64.b64decode(text, validate=True)

    wanted = rows()
    assert len(found) == len(wanted), (len(found), len(wanted))
    for one, other in zip(wanted, found, strict=True):
        other["bin"] = bytes_of(other["bin"])
        other["date"] = day(other["date"])
        other["t"] = None if other["t"] is None else datetime.time.fromisoformat(other["t"])
        other["days"] = other["days"] and [day(text) for text in other["days"]]
        for item in (other["st"] or {}).get("of") or []:
            if item is not None:
                item["bytes"] = bytes_of(item["bytes"])
        if other["map"] is not None:
            other["map"] = {key: value for key, value in other["map"].items() if value is not None}
        for name in COLUMNS:
            assert one[name] == other[name], (name, one[name], other[name])
    print(len(found))


if sys.argv[1] == "make":
    make()
else:
    check(sys.argv[2], sys.argv[3])
