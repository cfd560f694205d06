// Prints files, lines and bytes of all files below a directory that have an ending, as Node reads them: as a stream, unpacked if
// the ending is .gz or .zst.

const fs = require("node:fs");
const path = require("node:path");
const zlib = require("node:zlib");
const { pipeline } = require("node:stream/promises");

const unpack = { ".gz": zlib.createGunzip, ".zst": zlib.createZstdDecompress };

async function main(root, ending) {
  const names = fs.readdirSync(root, { recursive: true }).filter((name) => name.endsWith(ending));
  let lines = 0;
  let bytes = 0;
  const count = async (chunks) => {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
    }
  };
  for (const name of names) {
    const file = fs.createReadStream(path.join(root, name));
    await (unpack[ending] ? pipeline(file, unpack[ending](), count) : pipeline(file, count));
  }
  console.log(names.length, lines, bytes);
}

main(process.argv[2], process.argv[3]);
