package backlog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Which spools a command is about, where nothing names them: those of the package, else that of the image.
func TestSpoolsThatNothingNames(t *testing.T) {
	dir := t.TempDir()
	packaged, image, garage := filepath.Join(dir, "package", "spool.db"), filepath.Join(dir, "image", "spool.db"), filepath.Join(dir, "image", "garage.db")
	var files Files
	if got := files.of(packaged, image); !slices.Equal(got, []string{packaged}) {
		t.Errorf("neither is there: %v", got)
	}
	for _, path := range []string{image, garage} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	files.DeviceID = "roof,garage"
	if got := files.of(packaged, image); !slices.Equal(got, []string{image, garage}) {
		t.Errorf("in an image: %v", got)
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(packaged), 0o700), os.WriteFile(packaged, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := files.of(packaged, image); !slices.Equal(got, []string{packaged}) {
		t.Errorf("with the package: %v", got)
	}
}
