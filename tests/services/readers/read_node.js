// Prints files, lines and bytes of all .gz files below a directory, or of those with another ending, which are not
// compressed, as Node reads them: as a stream.

const fs = require("node:fs");
const path = require("node:path");
const zlib = require("node:zlib");
const { pipeline } = require("node:stream/promises");

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
    await (ending === ".gz" ? pipeline(file, zlib.createGunzip(), count) : pipeline(file, count));
  }
  console.log(names.length, lines, bytes);
}

main(process.argv[2], process.argv[3]);
