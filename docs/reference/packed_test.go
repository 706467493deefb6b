package reference

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// What the program carries as gzip is what stands beside it, or becomes it.
func TestPackedFilesAreThoseBesideThem(t *testing.T) {
	for _, name := range []string{"vps/api/openapi.yaml", "edge/simulator/images.json"} {
		packed(t, filepath.Join(root(t), name))
	}
}

func packed(t *testing.T, path string) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := unpacked(path + ".gz"); err == nil && bytes.Equal(now, want) {
		return
	} else if !*update {
		t.Errorf("%s.gz is not %[1]s: make docs (%v)", path, err)
		return
	}
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = z.Write(want) // a buffer takes everything
	_ = z.Close()
	if err := os.WriteFile(path+".gz", b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func unpacked(path string) ([]byte, error) {
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
