// Prints files, lines and bytes of all files below a directory whose names end as given, as Go reads them.
package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

func unpacked(file io.Reader, ending string) (io.Reader, error) {
	switch ending {
	case ".gz":
		return gzip.NewReader(file)
	case ".zst":
		return zstd.NewReader(file)
	default:
		return file, nil
	}
}

func read(path string, ending string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	reader, err := unpacked(file, ending)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(reader)
}

func main() {
	root, ending := os.Args[1], os.Args[2]
	files, lines, size := 0, 0, 0
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ending) {
			return err
		}
		text, err := read(path, ending)
		files++
		lines += bytes.Count(text, []byte("\n"))
		size += len(text)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(files, lines, size)
}
