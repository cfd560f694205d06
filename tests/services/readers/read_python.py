"""Prints files, lines and bytes of all files below a directory whose names end as given, as Python reads them.

zstd is read by the package zstandard in both its ways, at one go and as a stream, with the settings it has when nothing is said: it
then stops behind the first frame.
"""

import gzip
import pathlib
import sys

import zstandard

root, ending = sys.argv[1:]


def unpacked(path):
    packed = path.read_bytes()
    if ending == ".gz":
        return gzip.decompress(packed)
    if ending == ".zst":
        text = zstandard.ZstdDecompressor().decompress(packed)
        with zstandard.open(path, "rb") as stream:
            assert stream.read() == text, path
        return text
    return packed


texts = [unpacked(path) for path in pathlib.Path(root).rglob("*" + ending)]
print(len(texts), sum(text.count(b"\n") for text in texts), sum(map(len, texts)))
