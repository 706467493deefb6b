package settings

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// secretMounts are where Docker and Kubernetes put secrets: for the one container alone, with a mode that others may
// read (0444, 0440; Kubernetes' own default is 0644).
var secretMounts = []string{"/run/secrets", "/var/run/secrets"}

// Exposed is a file with a secret that has the mode of one without.
type Exposed struct {
	Path string
	Mode fs.FileMode
}

func (e *Exposed) Error() string {
	return fmt.Sprintf("%s has mode %04o, so others than its owner can read it", e.Path, e.Mode)
}

// ReadSecretFile reads a file that only its owner may read, or that is a secret of a container. The error is an
// *Exposed if it is neither.
func ReadSecretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := CheckSecretFile(path, info); err != nil {
		return "", err
	}
	text, err := io.ReadAll(f)
	return string(text), err
}

// CheckSecretFile returns an *Exposed if ReadSecretFile would not read the file at path, which info describes.
func CheckSecretFile(path string, info fs.FileInfo) error {
	return checkSecret(path, info.Mode().Perm(), secretMounts)
}

// checkSecret is CheckSecretFile for a container with these mounts. Kubernetes' files are links to a folder beside them;
// what counts is where they lead: a link out of the mount leads to no secret of the container.
func checkSecret(path string, mode fs.FileMode, mounts []string) error {
	const others, othersMayNot = 0o077, 0o033
	if mode&others == 0 || mode&othersMayNot == 0 && below(path, mounts) {
		return nil
	}
	return &Exposed{path, mode}
}

// below reports whether the file that path leads to is below one of dirs.
func below(path string, dirs []string) bool {
	path, err := filepath.EvalSymlinks(path)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return false
	}
	for _, dir := range dirs {
		dir, err := filepath.EvalSymlinks(dir)
		if err == nil && strings.HasPrefix(path, dir+string(filepath.Separator)) {
			return true
		}
	}
	return false
}
