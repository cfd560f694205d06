// Prints files, lines and bytes of all .gz files below a directory, as Go reads them.
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
)

func read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(unzipped)
}

func main() {
	files, lines, size := 0, 0, 0
	err := filepath.WalkDir(os.Args[1], func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".gz") {
			return err
		}
		text, err := read(path)
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
