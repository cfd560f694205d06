"""Engines of gzip written in C, and zstd, on pieces of text that the Rust side wrote.

engines.py round TEXT      compresses all once and prints what benches/engines.rs prints of its own
engines.py table RESULTS   makes a table of many rounds
"""

import struct
import sys
import time
from collections import defaultdict
from statistics import median

# Pieces end on a byte boundary, as ours do; libdeflate cannot do that, and zstd's are frames of their own.


def zlib_like(module, level):
    def compress(piece):
        state = module.compressobj(level, module.DEFLATED, -15)
        return len(state.compress(piece)) + len(state.flush(module.Z_SYNC_FLUSH))

    return compress


def engines():
    import deflate
    import zstandard
    from isal import isal_zlib
    from zlib_ng import zlib_ng

    for level in (1, 3):
        yield "ISA-L", level, zlib_like(isal_zlib, level)
    for level in (1, 2, 4, 6, 7, 8, 9, 12):
        yield "libdeflate", level, lambda piece, level=level: len(deflate.deflate_compress(piece, level))
    for level in (1, 2, 6, 9):
        yield "zlib-ng", level, zlib_like(zlib_ng, level)
    for level in (1, 3, 9):
        state = zstandard.ZstdCompressor(level=level)
        yield "zstd", level, lambda piece, state=state: len(state.compress(piece))


def pieces(path):
    with open(path, "rb") as file:
        while length := file.read(4):
            yield file.read(struct.unpack("<I", length)[0])


def measure(path):
    texts = list(pieces(path))
    rows = sum(text.count(b"\n") for text in texts)
    before = sum(map(len, texts))
    for engine, level, compress in engines():
        start = time.thread_time()
        after = sum(map(compress, texts))
        spent = (time.thread_time() - start) * 1e6
        print(engine, level, rows, before, after, round(spent), sep="\t")


def table(path):
    spent, sizes = defaultdict(list), {}
    with open(path) as file:
        for line in file:
            engine, level, rows, before, after, micros = line.rstrip("\n").split("\t")
            key = engine, int(level)
            spent[key].append(float(micros) / int(rows))
            sizes[key] = int(rows), int(before), int(after)
    rows, before, _ = next(iter(sizes.values()))
    print(f"{rows:,} lines of {before / rows:.0f} bytes, {len(next(iter(spent.values())))} rounds")
    print("| engine | level | ratio | µs a line, best (median) | MB/s |")
    print("|---|---|---|---|---|")
    for (engine, level), micros in spent.items():
        rows, before, after = sizes[engine, level]
        best, middle = min(micros), median(micros)
        print(f"| {engine} | {level} | {before / after:.2f} | {best:.2f} ({middle:.2f}) | {before / rows / best:.0f} |")


if __name__ == "__main__":
    {"round": measure, "table": table}[sys.argv[1]](sys.argv[2])
