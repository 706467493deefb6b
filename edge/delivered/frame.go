package delivered

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sunspool/internal/durable"
	"sunspool/wire"
)

// A file is frames, each whole by itself:
//
//	magic, length and CRC32C of what follows (four bytes each, little endian),
//	the device, the hours and how many samples there are of each (text and varints),
//	deflated: each sample in packed form (see package wire), its length before it
//
// A reader that meets anything else goes on with the next magic whose frame is whole.
const (
	magic      = "\xd5sK\x01"
	headBytes  = len(magic) + 8
	mostFrame  = 4 << 20 // bytes of a frame, deflated or not
	mostHours  = int(blockMS / hourMS)
	fileLayout = "20060102T15" // the name of a file is where its six hours begin, UTC
	fileSuffix = ".frames"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// DirOf returns the directory of the copies of the spool at path.
func DirOf(spool string) string { return spool + ".delivered" }

func (c *Copies) path(start int64) string {
	return filepath.Join(c.Dir, time.UnixMilli(start).UTC().Format(fileLayout)+fileSuffix)
}

// startOf returns where the block begins whose file has that name.
func startOf(name string) (start int64, ok bool) {
	text, ours := strings.CutSuffix(name, fileSuffix)
	t, err := time.ParseInLocation(fileLayout, text, time.UTC)
	start = t.UnixMilli()
	return start, ours && err == nil && start%blockMS == 0 && t.Format(fileLayout) == text
}

// add appends a sample to p.
func (p *pending) add(s *wire.Sample) {
	packed := s.AppendPacked(nil)
	p.packed = append(binary.AppendUvarint(p.packed, uint64(len(packed))), packed...)
	ms := s.Time.UnixMilli()
	p.hours[ms-ms%hourMS]++
}

// frame returns p as a frame.
func (p *pending) frame() []byte {
	b := bytes.NewBuffer(make([]byte, headBytes, headBytes+len(p.packed)/3))
	head := append(binary.AppendUvarint(nil, uint64(len(p.device))), p.device...)
	head = binary.AppendUvarint(head, uint64(len(p.hours)))
	for _, at := range slices.Sorted(maps.Keys(p.hours)) {
		head = binary.AppendUvarint(binary.AppendUvarint(head, uint64(at/hourMS)), uint64(p.hours[at]))
	}
	b.Write(head)
	z, _ := flate.NewWriter(b, flate.DefaultCompression) // writing to memory does not fail
	z.Write(p.packed)
	z.Close()
	frame := b.Bytes()
	copy(frame, magic)
	binary.LittleEndian.PutUint32(frame[len(magic):], uint32(len(frame)-headBytes))
	binary.LittleEndian.PutUint32(frame[len(magic)+4:], crc32.Checksum(frame[headBytes:], castagnoli))
	return frame
}

// frame is what the head of a frame has, and its samples, deflated.
type frame struct {
	device  string
	hours   map[int64]int
	samples []byte
	size    int // of the whole frame, in its file
}

// frames calls yield with each frame of a file that is whole.
func frames(text []byte, yield func(frame)) {
	for {
		at := bytes.Index(text, []byte(magic))
		if at < 0 || len(text)-at < headBytes {
			return
		}
		text = text[at:]
		length := binary.LittleEndian.Uint32(text[len(magic):])
		sum := binary.LittleEndian.Uint32(text[len(magic)+4:])
		if end := headBytes + int(min(length, mostFrame+1)); length <= mostFrame && end <= len(text) && crc32.Checksum(text[headBytes:end], castagnoli) == sum {
			if f, err := parseFrame(text[headBytes:end]); err == nil {
				f.size = end
				yield(f)
			}
			text = text[end:]
		} else {
			text = text[1:]
		}
	}
}

var errFrame = errors.New("a frame of another form")

func parseFrame(b []byte) (f frame, err error) {
	next := func() (v uint64) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			err = errFrame
			return 0
		}
		b = b[n:]
		return v
	}
	n := next()
	if err != nil || n > uint64(len(b)) {
		return f, errFrame
	}
	f.device, b = string(b[:n]), b[n:]
	hours := next()
	if err != nil || hours > uint64(mostHours) {
		return f, errFrame
	}
	f.hours = make(map[int64]int, hours)
	for range hours {
		at, n := next(), next()
		if at > 1<<32 || n > mostFrame {
			return f, errFrame
		}
		f.hours[int64(at)*hourMS] = int(n)
	}
	f.samples = b
	return f, err
}

// each calls yield with each sample of the frame.
func (f frame) each(yield func(*wire.Sample)) error {
	packed, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(f.samples)), mostFrame))
	if err != nil {
		return err
	}
	for len(packed) > 0 {
		length, n := binary.Uvarint(packed)
		if n <= 0 || length > uint64(len(packed)-n) {
			return errFrame
		}
		var s wire.Sample
		if err := s.Unpack(packed[n:][:length]); err != nil {
			return err
		}
		yield(&s)
		packed = packed[n:][length:]
	}
	return nil
}

// read returns what the file of a block has.
func (c *Copies) read(start int64) ([]byte, error) {
	f, err := os.OpenFile(c.path(start), os.O_RDONLY|durable.NoFollow, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", f.Name())
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, mostFile))
}

// load reads once what earlier runs have kept.
func (c *Copies) load() {
	if c.loaded {
		return
	}
	c.loaded = true
	entries, _ := os.ReadDir(c.Dir)
	for _, e := range entries {
		start, ok := startOf(e.Name())
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		b := c.block(start)
		b.size = info.Size()
		text, err := c.read(start)
		if err != nil {
			continue
		}
		frames(text, func(f frame) {
			for at, n := range f.hours {
				if f.device == c.Device && at-at%blockMS == start {
					b.hour(at).n += n
				}
			}
		})
	}
}

// SamplesOf returns the samples of Device in the hour that begins at, each once, in ascending order.
func (c *Copies) SamplesOf(at int64) (all []wire.Sample) {
	text, err := c.read(at - at%blockMS)
	if err != nil {
		return nil
	}
	found := map[int64]*wire.Sample{}
	frames(text, func(f frame) {
		if f.device != c.Device || f.hours[at] == 0 {
			return
		}
		f.each(func(s *wire.Sample) { // what is damaged is of a frame that was made so: the rest of it is skipped
			if ms := s.Time.UnixMilli(); s.DeviceID == c.Device && ms-ms%hourMS == at {
				found[ms] = s
			}
		})
	})
	for _, ms := range slices.Sorted(maps.Keys(found)) {
		all = append(all, *found[ms])
	}
	return all
}

// Remove deletes the copies in dir: they are not kept any more.
func Remove(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if _, ok := startOf(e.Name()); ok {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	os.Remove(dir) // unless something else is in it
}
