// Package delivered keeps copies of samples for some days after the server has them, in case the server loses them: one that
// was restored from a backup names the hours that it lacks, and gets them again.
//
//	Settle ──> Add ──> in memory ──> Tidy: a frame at the end of a file of six hours ──> deleted after some days
//	                                     Hours, Samples <── the server lacks something
//
// A copy is worth less than anything else on the disk. Writing one is never synced, so that a power cut or a kill may lose
// those of the last quarter of an hour, which the server has. Copies use only what the spool leaves of its limit and of the
// disk, and the oldest are deleted first. A file is of the time of the samples in it, never of that of a clock. What is
// damaged or foreign in it is skipped.
package delivered

import (
	"cmp"
	"errors"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"sunspool/internal/durable"
	"sunspool/wire"
)

const (
	hourMS  = int64(time.Hour / time.Millisecond)
	blockMS = 6 * hourMS // that a file holds

	frameBytes = 32 << 10         // of packed samples in a frame, about a fifth of it compressed
	frameAge   = 15 * time.Minute // after which a smaller one is written
	hurryAge   = time.Minute      // the same, while the server does not answer: it may be about to lose something
	retryAfter = time.Minute      // an error
	mostBytes  = 1 << 20          // of packed samples in memory, while none can be written
	mostFile   = 16 << 20         // of a file that is read: six hours are a few hundred kB
	diskLeft   = 32 << 20         // bytes of the disk that copies leave free
	tries      = 2                // of an hour that brings the server nothing new
)

// Copies are the copies of one spool. One goroutine owns it, but for the counters.
type Copies struct {
	Dir    string
	Device string        // whose copies are shown; those of an earlier name are kept as well
	Keep   time.Duration // how long
	Room   func() int64  // returns how many bytes the spool leaves of its limit
	Log    *slog.Logger

	loaded  bool
	blocks  map[int64]*block // by where they begin
	pending []*pending
	newest  int64 // time of the newest sample that was added
	failing bool
	retry   time.Time // no attempt to write before

	Samples, Bytes, Since, Errors atomic.Int64 // Since is where the oldest hour begins, ms since 1970; 0 for none
}

// block is a file, and what is in it.
type block struct {
	size  int64
	hours map[int64]*hour // of Device
}

// hour is what is kept of an hour.
type hour struct {
	n         int
	fruitless int // times that it was sent again for nothing
}

// pending is samples of a block that are not in its file yet.
type pending struct {
	device string
	start  int64
	packed []byte
	hours  map[int64]int
	since  time.Time
}

// Add keeps a copy of a sample that the server has. It touches no disk.
func (c *Copies) Add(s *wire.Sample) {
	if c == nil {
		return
	}
	ms := s.Time.UnixMilli()
	if s.Time.Before(wire.Oldest) {
		return
	}
	c.newest = max(c.newest, ms)
	start, all := ms-ms%blockMS, 0
	var to *pending
	for _, p := range c.pending {
		all += len(p.packed)
		if p.start == start && p.device == s.DeviceID {
			to = p
		}
	}
	if all > mostBytes {
		c.Errors.Add(1)
		return
	}
	if to == nil {
		to = &pending{device: s.DeviceID, start: start, hours: map[int64]int{}, since: now()}
		c.pending = append(c.pending, to)
	}
	to.add(s)
}

// Tidy writes what has waited long enough, or is enough, and deletes what is too old or has no room. Hurry is that the server
// does not answer.
func (c *Copies) Tidy(hurry bool) {
	if c == nil {
		return
	}
	c.load()
	age := frameAge
	if hurry {
		age = hurryAge
	}
	if !now().Before(c.retry) {
		c.write(func(p *pending) bool { return len(p.packed) >= frameBytes || now().Sub(p.since) >= age })
	}
	c.expire()
	c.makeRoom(0)
	c.count()
}

// Flush writes what is in memory.
func (c *Copies) Flush() {
	if c == nil {
		return
	}
	c.load()
	c.write(func(*pending) bool { return true })
	c.count()
}

// write writes the samples that are due. What cannot be written stays in memory, as far as there is room for it.
func (c *Copies) write(due func(*pending) bool) {
	c.pending = slices.DeleteFunc(c.pending, func(p *pending) bool {
		if !due(p) {
			return false
		}
		frame := p.frame()
		if !c.makeRoom(int64(len(frame))) {
			return true // there is no room for copies, which is no error
		}
		err := c.append(p, frame)
		if err != nil {
			c.Errors.Add(1)
			c.retry = now().Add(retryAfter)
		}
		c.report(err)
		return err == nil
	})
}

// append writes a frame to the end of its file. After an error a part of the frame may be there, which readers skip.
func (c *Copies) append(p *pending, frame []byte) error {
	os.Mkdir(c.Dir, 0o700) // the next call has its error
	f, err := os.OpenFile(c.path(p.start), os.O_WRONLY|os.O_APPEND|os.O_CREATE|durable.NoFollow, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	b := c.block(p.start)
	n, err := f.Write(frame)
	if b.size += int64(n); err != nil {
		return err
	}
	if p.device == c.Device {
		for h, n := range p.hours {
			b.hour(h).n += n
		}
	}
	return nil
}

// report logs the first error, and when it is over.
func (c *Copies) report(err error) {
	switch {
	case err != nil && !c.failing:
		c.Log.Warn("delivered samples are not kept: a server that is restored cannot get them again", "error", err.Error())
	case err == nil && c.failing:
		c.Log.Info("delivered samples are kept again")
	}
	c.failing = err != nil
}

// expire deletes what is too old, by the newest sample that the server took since the start: its time is one that two clocks
// agree on.
func (c *Copies) expire() {
	for len(c.blocks) > 0 && c.oldest()+blockMS+c.Keep.Milliseconds() <= c.newest {
		if !c.deleteOldest() {
			return
		}
	}
}

// makeRoom deletes the oldest copies until so many bytes more may be written, and reports whether they may.
func (c *Copies) makeRoom(more int64) bool {
	for {
		short := more + c.total() - c.Room()
		if len(c.blocks) > 0 || more > 0 {
			short = max(short, more+diskLeft-durable.FreeBytes(filepath.Dir(c.Dir)))
		}
		if short <= 0 {
			return true
		}
		if len(c.blocks) == 0 || !c.deleteOldest() {
			return false
		}
	}
}

// oldest is where the oldest block begins.
func (c *Copies) oldest() int64 {
	oldest := int64(math.MaxInt64)
	for start := range c.blocks {
		oldest = min(oldest, start)
	}
	return oldest
}

func (c *Copies) deleteOldest() bool {
	oldest := c.oldest()
	err := os.Remove(c.path(oldest))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.Errors.Add(1)
		c.report(err)
		return false
	}
	delete(c.blocks, oldest)
	return true
}

func (c *Copies) total() (bytes int64) {
	for _, b := range c.blocks {
		bytes += b.size
	}
	return bytes
}

// count shows what is kept.
func (c *Copies) count() {
	samples, since := 0, int64(0)
	for _, b := range c.blocks {
		for at, h := range b.hours {
			samples += h.n
			if since == 0 || at < since {
				since = at
			}
		}
	}
	c.Samples.Store(int64(samples))
	c.Bytes.Store(c.total())
	c.Since.Store(since)
}

// Hours returns what is kept of Device, as pairs of where an hour begins and the number of samples, ascending. An hour that
// brought the server nothing, however often it was sent again, is left out.
func (c *Copies) Hours() (all [][2]int64) {
	c.Flush()
	latest := cmp.Or(c.newest, now().UnixMilli())
	for _, start := range slices.Sorted(maps.Keys(c.blocks)) {
		for at := start; at < start+blockMS; at += hourMS {
			h := c.blocks[start].hours[at]
			if h != nil && h.n > 0 && h.fruitless < tries && at <= latest && at > latest-c.Keep.Milliseconds()-blockMS {
				all = append(all, [2]int64{at, int64(h.n)})
			}
		}
	}
	return all
}

// Sent records that an hour was sent again: the server has n samples of it, of which some were new. So many count from then on,
// because a crash may have left copies twice, and a server may refuse samples.
func (c *Copies) Sent(at int64, n, fresh int) {
	h := c.block(at - at%blockMS).hour(at)
	h.n = n
	if h.fruitless++; fresh > 0 {
		h.fruitless = 0
	}
}

// block returns the block that begins at start.
func (c *Copies) block(start int64) *block {
	if c.blocks == nil {
		c.blocks = map[int64]*block{}
	}
	if c.blocks[start] == nil {
		c.blocks[start] = &block{hours: map[int64]*hour{}}
	}
	return c.blocks[start]
}

func (b *block) hour(at int64) *hour {
	if b.hours[at] == nil {
		b.hours[at] = new(hour)
	}
	return b.hours[at]
}

// now is the only place of the package that reads the host's clock. It measures durations; the time of a sample is its own.
func now() time.Time { return time.Now() }
