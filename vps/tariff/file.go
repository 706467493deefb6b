package tariff

import (
	"fmt"
	"os"
	"sync/atomic"
)

// File is a tariff that is read again when its file changes. A nil File has none.
type File struct {
	path    string
	version string // of the file when it was read last
	tariff  atomic.Pointer[Tariff]
}

// Open reads a file. The error is a *health.Fault.
func Open(path string) (*File, error) {
	f := &File{path: path}
	_, err := f.Refresh(true)
	return f, err
}

// Fixed returns a tariff without a file.
func Fixed(t *Tariff) *File {
	f := new(File)
	f.tariff.Store(t)
	return f
}

// Now returns the tariff that was read last, nil for none.
func (f *File) Now() *Tariff {
	if f == nil {
		return nil
	}
	return f.tariff.Load()
}

// Refresh reads the file if it has changed, or always. On an error what was before stays; the file is not read again until it
// changes once more. One goroutine may call it while others call Now.
func (f *File) Refresh(always bool) (read bool, err error) {
	version := ""
	if info, err := os.Stat(f.path); err == nil {
		version = fmt.Sprint(info.ModTime().UnixNano(), " ", info.Size())
	}
	if version == f.version && !always {
		return false, nil
	}
	f.version = version
	t, err := Read(f.path)
	if err == nil {
		f.tariff.Store(t)
	}
	return true, err
}
