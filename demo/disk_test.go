package demo

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// disk is a directory as a power cut may leave it: what a sync promised, and what is still on its way.
//
//	call ──> pending ── fsync, fdatasync ──> durable
//	             └────── any part of it ──> image
//
// It is stricter than any filesystem in use: a write may be torn at every sector, may overtake another and may be lost
// while a later one is kept; a name is durable only when its directory was synced, and its fate tells nothing of the
// contents; a new size may be lost while the data behind it is kept.
type disk struct {
	root    string
	synced  func(n int) bool // whether the n-th call to sync does anything; nil: all do
	syncs   int
	durable map[string]*file
	renames []naming         // pending
	now     map[string]*file // as the running process sees the names
	fds     map[int]*file
}

// file is an inode. The root itself is one, without contents.
type file struct {
	directory bool
	durable   []byte
	pending   []change
}

// change is a write, or, without data, a new size.
type change struct {
	line int
	off  int64
	data []byte
}

// naming is a change of names: one comes, one goes, or both at once.
type naming struct {
	line     int
	from, to string
	file     *file
}

const sector = 512

// newDisk takes what is in root as durable.
func newDisk(root string) (*disk, error) {
	d := &disk{root: root, durable: make(map[string]*file), fds: make(map[int]*file)}
	entries, err := os.ReadDir(root)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, e.Name()))
		if err != nil {
			return nil, err
		}
		d.durable[e.Name()] = &file{durable: b}
	}
	d.now = maps.Clone(d.durable)
	return d, nil
}

// name is path as an entry of the root.
func (d *disk) name(path string) (string, bool) {
	return filepath.Base(path), filepath.Dir(path) == d.root
}

// restart is the end of the process. The page cache outlives it.
func (d *disk) restart() { clear(d.fds) }

// apply does a call. An error is a call that it does not know how to do.
func (d *disk) apply(c systemCall) error {
	unknown := fmt.Errorf("line %d of the trace: %s has no place in the model of the disk", c.begun+1, c.name)
	switch c.name {
	case "openat":
		d.open(c)
	case "close":
		delete(d.fds, c.fd(0))
	case "write", "pwrite64":
		f := d.fds[c.fd(0)]
		if f == nil {
			return nil
		}
		w := change{line: c.begun, data: c.text(1)[:c.result]}
		if w.off = int64(len(d.contents(f))); c.name == "pwrite64" {
			w.off = c.number(3)
		}
		f.pending = append(f.pending, w)
	case "ftruncate":
		if f := d.fds[c.fd(0)]; f != nil {
			f.pending = append(f.pending, change{line: c.begun, off: c.number(1)})
		}
	case "fallocate":
		f := d.fds[c.fd(0)]
		size := c.number(2) + c.number(3)
		switch mode := c.args[1]; {
		case f == nil || mode == "FALLOC_FL_KEEP_SIZE":
		case mode != "0":
			return unknown
		case size > int64(len(d.contents(f))):
			f.pending = append(f.pending, change{line: c.begun, off: size})
		}
	case "fsync", "fdatasync":
		if f := d.fds[c.fd(0)]; f != nil {
			d.sync(f, c.begun)
		}
	case "linkat", "renameat", "renameat2":
		from, known1 := d.name(c.path(1))
		to, known2 := d.name(c.path(3))
		if !known1 && !known2 {
			return nil
		}
		if !known1 || !known2 || c.name == "renameat2" && c.args[4] != "0" {
			return unknown
		}
		if c.name == "linkat" {
			d.rename(c.begun, "", to, d.now[from])
		} else {
			d.rename(c.begun, from, to, d.now[from])
		}
	case "unlinkat":
		if name, known := d.name(c.path(1)); known {
			d.rename(c.begun, name, "", d.now[name])
		}
	case "mmap":
		if len(c.args) == 6 && d.fds[c.fd(4)] != nil && strings.Contains(c.args[2], "PROT_WRITE") && !strings.Contains(c.args[3], "MAP_PRIVATE") {
			return unknown
		}
	default:
		for i := range c.args {
			if strings.HasPrefix(c.fdPath(min(i, len(c.args)-1)), d.root+"/") {
				return unknown
			}
		}
	}
	return nil
}

func (d *disk) open(c systemCall) {
	path := c.path(1)
	if path == d.root {
		d.fds[int(c.result)] = &file{directory: true}
		return
	}
	name, known := d.name(path)
	if !known || strings.Contains(c.args[2], "O_DIRECTORY") { // of copies of what the server has: no part of what must survive
		delete(d.fds, int(c.result))
		return
	}
	if d.now[name] == nil {
		d.rename(c.begun, "", name, new(file)) // it is open, so it was created, or it is no file of ours
	}
	f := d.now[name]
	if strings.Contains(c.args[2], "O_TRUNC") && len(d.contents(f)) > 0 {
		f.pending = append(f.pending, change{line: c.begun})
	}
	d.fds[int(c.result)] = f
}

func (d *disk) rename(line int, from, to string, f *file) {
	n := naming{line, from, to, f}
	n.do(d.now)
	d.renames = append(d.renames, n)
}

func (n naming) do(names map[string]*file) {
	if n.from != "" && names[n.from] == n.file {
		delete(names, n.from)
	}
	if n.to != "" {
		names[n.to] = n.file
	}
}

// sync makes durable what was on its way when the call began.
func (d *disk) sync(f *file, begun int) {
	d.syncs++
	if d.synced != nil && !d.synced(d.syncs) {
		return
	}
	if f.directory {
		for len(d.renames) > 0 && d.renames[0].line < begun {
			d.renames[0].do(d.durable)
			d.renames = d.renames[1:]
		}
		return
	}
	for len(f.pending) > 0 && f.pending[0].line < begun {
		f.durable = f.pending[0].onto(f.durable)
		f.pending = f.pending[1:]
	}
}

// onto does the change to b, whole.
func (c change) onto(b []byte) []byte {
	if c.data == nil {
		return resize(b, c.off)
	}
	b = resize(b, max(int64(len(b)), c.off+int64(len(c.data))))
	copy(b[c.off:], c.data)
	return b
}

func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		return b[:size:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

// contents is the file as the running process sees it.
func (d *disk) contents(f *file) []byte {
	b := slices.Clone(f.durable)
	for _, c := range f.pending {
		b = c.onto(b)
	}
	return b
}

// cut writes into dir what a power cut at this instant leaves, one of many.
func (d *disk) cut(rng *rand.Rand, dir string) error {
	names := maps.Clone(d.durable)
	lost := rng.Float64() // 0 keeps all
	switch rng.IntN(3) {
	case 0: // in order, as a journal does it
		for _, n := range d.renames[:rng.IntN(len(d.renames)+1)] {
			n.do(names)
		}
	case 1:
		for _, n := range d.renames {
			if rng.Float64() >= lost {
				n.do(names)
			}
		}
	case 2:
		names = d.now
	}
	images := make(map[*file][]byte)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f := names[name]
		if _, done := images[f]; !done {
			images[f] = f.torn(rng)
		}
		if err := os.WriteFile(filepath.Join(dir, name), images[f], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// torn is the file with some of what is on its way.
func (f *file) torn(rng *rand.Rand) []byte {
	b := slices.Clone(f.durable)
	pending := slices.Clone(f.pending)
	if rng.IntN(3) == 0 {
		rng.Shuffle(len(pending), func(i, j int) { pending[i], pending[j] = pending[j], pending[i] })
	}
	lost := rng.Float64()
	way := rng.IntN(5)
	first := rng.IntN(len(pending) + 1) // that is torn, when they arrive one after the other
	for i, c := range pending {
		switch {
		case way == 0: // all of it
			b = c.onto(b)
		case way == 1: // nothing
		case way == 2 && i < first:
			b = c.onto(b)
		case way == 2 && i > first:
		case way == 3 || c.data == nil: // each whole or not at all
			if rng.Float64() >= lost {
				b = c.onto(b)
			}
		default: // each sector for itself
			for off := c.off; off < c.off+int64(len(c.data)); {
				end := min(off/sector*sector+sector, c.off+int64(len(c.data)))
				if rng.Float64() >= lost {
					b = change{off: off, data: c.data[off-c.off : end-c.off]}.onto(b)
				}
				off = end
			}
		}
	}
	if way > 1 && len(b) > len(f.durable) && rng.IntN(4) == 0 {
		b = b[:len(f.durable)] // the size was lost, and with it what is behind the old end
	}
	return b
}
