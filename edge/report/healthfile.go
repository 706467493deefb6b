package report

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"

	"sunspool/internal/durable"
)

// healthFile is a file that is written with every poll, at next to no cost where it lies on a memory card: the first
// text is a new file, all later ones are written over it. No block, no name and no length is new then, and nothing is
// synced: what changes is one page, which the kernel writes out about every 30 s, and the time of the last change,
// which goes with that of the spool.
//
// A reader sees the text of one write, old or new. Writing in place is safe only while no process reads, so the kernel is
// asked for that, see durable.Lease. While another process has the file open, and where the kernel cannot report that, the
// next text is a new file again, and the reader keeps the old one.
type healthFile struct {
	path string // "" is no file

	mu    sync.Mutex
	shown os.FileInfo // the file that this process made; nil if there is none
}

// inPlace is the longest text that is written in place: a page, which is written whole or not at all even if the process is
// killed during the write.
const inPlace = 4096

// write replaces the content of the file by text, with spaces behind it.
func (f *healthFile) write(text []byte) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	if f.overwrite(text) {
		return nil
	}
	f.shown, err = durable.ReplaceInfo(f.path, text, 0o644, false)
	return err
}

// overwrite writes text in place, and reports whether it could. The rest of a longer text is overwritten with spaces:
// truncating a file costs more than leaving its length.
func (f *healthFile) overwrite(text []byte) bool {
	if f.shown == nil || len(text) > inPlace {
		return false
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|durable.NoFollow, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !os.SameFile(info, f.shown) || info.Mode() != f.shown.Mode() || info.Size() > inPlace || !durable.Lease(file) {
		return false
	}
	if more := int(info.Size()) - len(text); more > 0 {
		text = append(bytes.TrimSuffix(text, []byte("\n")), bytes.Repeat([]byte(" "), more)...)
		text = append(text, '\n')
	}
	_, err = file.WriteAt(text, 0)
	return err == nil
}
