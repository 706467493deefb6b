package spool

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/spool/format"
	"sunspool/internal/testhost"
)

// ruin is a spool that will be damaged, and the truth about it.
type ruin struct {
	Name       string
	File, Old  []byte // as it is, and as it was a while before
	Mark       []byte
	Records    map[uint64][][]byte // every form in which each record ever was
	Waiting    map[uint64][]byte
	Quarantine map[uint64][]byte
	Below      uint64 // all numbers below have left, by the mark
}

// ruins are the spools that are damaged: small ones are in one page, large ones have branches.
func ruins(t *testing.T) []*ruin {
	return []*ruin{
		build(t, "small", 12, 4, 0, 0),
		build(t, "backlog", 1500, 0, 0, 0),
		build(t, "settled history", 1500, 1300, 0, 0),
		build(t, "quarantine", 900, 500, 40, 0),
		build(t, "undated", 700, 200, 0, 60),
		build(t, "all of it", 1500, 600, 30, 90),
	}
}

// build makes a spool of n samples, of which some were settled, some of those as poison, and the last are undated.
func build(t *testing.T, name string, n, settled, poisoned, undated int) *ruin {
	t.Helper()
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := openSpool(t, path)
	r := &ruin{Name: name, Records: make(map[uint64][][]byte), Waiting: make(map[uint64][]byte), Quarantine: make(map[uint64][]byte)}
	for i := range n {
		if i == n-n/5 {
			r.Old, _ = os.ReadFile(path)
		}
		sample := sampleAt(noon.Add(time.Duration(i) * 5 * time.Second))
		if i < n-undated {
			if err := s.Append(&sample, When{Quality: Synced, Boot: 1, Since: time.Duration(i)}); err != nil {
				t.Fatal(err)
			}
		} else if err := appendUndated(s, Record{Sample: sample, When: When{Boot: 2, Since: time.Duration(i) * time.Second}}); err != nil {
			t.Fatal(err)
		}
		r.learn(t, s, uint64(i+1))
		if i%30 == 29 && i < settled {
			var stored []uint64
			var poison []Rejection
			for k, got := range peek(t, s, 30) {
				if k < poisoned*30/max(settled, 1)+1 && poisoned > 0 {
					poison = append(poison, Rejection{Seq: got.Seq, Code: "ts_too_old", Detail: "it is \"too\" old", First: noon, Last: noon})
				} else {
					stored = append(stored, got.Seq)
				}
			}
			if err := s.Settle(stored, poison); err != nil {
				t.Fatal(err)
			}
		}
	}
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{format.SamplesBucket, format.UndatedBucket} {
				tx.Bucket(name).ForEach(func(k, v []byte) error { r.Waiting[format.Seq(k)] = bytes.Clone(v); return nil })
			}
			return tx.Bucket(format.QuarantineBucket).ForEach(func(k, v []byte) error { r.Quarantine[format.Seq(k)] = bytes.Clone(v); return nil })
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	r.File, _ = os.ReadFile(path)
	r.Mark, _ = os.ReadFile(path + ".exists")
	m, err := format.ReadWatermark(path)
	if err != nil {
		t.Fatal(err)
	}
	r.Below = m.Below
	return r
}

// learn notes the record of that number as it is written.
func (r *ruin) learn(t *testing.T, s *Spool, seq uint64) {
	t.Helper()
	err := s.exec(func() error {
		return s.db.View(func(tx *bolt.Tx) error {
			for _, name := range [][]byte{format.SamplesBucket, format.UndatedBucket} {
				if v := tx.Bucket(name).Get(format.Key(seq)); v != nil {
					r.Records[seq] = append(r.Records[seq], bytes.Clone(v))
				}
			}
			return nil
		})
	})
	if err != nil || len(r.Records[seq]) == 0 {
		t.Fatalf("record %d: %v", seq, err)
	}
}

func appendUndated(s *Spool, r Record) error {
	return s.exec(func() error {
		return s.db.Update(func(tx *bolt.Tx) (err error) {
			if r.Seq, err = tx.Bucket(format.SamplesBucket).NextSequence(); err != nil {
				return err
			}
			if err := tx.Bucket(format.BootsBucket).Put([]byte("boot 2"), []byte("what is known of it")); err != nil {
				return err
			}
			return tx.Bucket(format.UndatedBucket).Put(format.Key(r.Seq), r.Encode())
		})
	})
}

// bbolt's file format.
const (
	headBytes    = 16 // of a page
	elementBytes = 16
	onBranch     = 0x01
	onLeaf       = 0x02
	onFree       = 0x10
)

var byteOrder = binary.NativeEndian

// damage returns the file of r damaged in one of many ways, chosen by seed.
func (r *ruin) damage(seed int) (what string, b []byte) {
	const page = 4096
	rng := rand.New(rand.NewPCG(uint64(seed), 7))
	b = slices.Clone(r.File)
	pages := len(b) / page
	at := func(n int) []byte { return b[n*page : (n+1)*page] }
	some := func() []byte { return at(rng.IntN(pages)) }
	used := func(flag uint16) (all []int) {
		for n := range pages {
			if p := at(n); byteOrder.Uint64(p) == uint64(n) && byteOrder.Uint16(p[8:]) == flag {
				all = append(all, n)
			}
		}
		return all
	}
	kinds := []struct {
		what string
		do   func()
	}{
		{"one bit", func() { b[rng.IntN(len(b))] ^= 1 << rng.IntN(8) }},
		{"bits", func() {
			for range 1 + rng.IntN(200) {
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			}
		}},
		{"bits in heads", func() {
			for range 1 + rng.IntN(4) {
				some()[rng.IntN(64)] ^= 1 << rng.IntN(8)
			}
		}},
		{"a page of zeros", func() { clear(some()) }},
		{"pages of zeros", func() {
			for range 1 + rng.IntN(pages) {
				clear(some())
			}
		}},
		{"torn pages", func() {
			for range 1 + rng.IntN(5) {
				n := rng.IntN(pages)
				if cut := n*page + 512*(1+rng.IntN(7)); (n+1)*page <= len(r.Old) {
					copy(b[cut:(n+1)*page], r.Old[cut:])
				} else {
					clear(b[cut : (n+1)*page])
				}
			}
		}},
		{"swapped pages", func() {
			for range 1 + rng.IntN(4) {
				p, q := some(), some()
				was := slices.Clone(p)
				copy(p, q)
				copy(q, was)
			}
		}},
		{"cut short", func() { b = b[:512*(seed%(len(b)/512+1))] }},
		{"cut short anywhere", func() { b = b[:rng.IntN(len(b))] }},
		{"random pages", func() {
			for range 1 + rng.IntN(6) {
				p := some()
				for i := range p {
					p[i] = byte(rng.Uint32())
				}
			}
		}},
		{"a wrong file", func() {
			switch rng.IntN(4) {
			case 0:
				b = bytes.Repeat([]byte("no spool at all\n"), 1+rng.IntN(5000))
			case 1:
				b = bytes.Repeat([]byte{0xFF}, rng.IntN(1<<16)+1)
			case 2:
				b = make([]byte, 1+rng.IntN(1<<16))
			default:
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
			}
		}},
		{"old pages", func() {
			for n := range pages {
				if (n+1)*page <= len(r.Old) && rng.IntN(4) == 0 {
					copy(at(n), r.Old[n*page:])
				}
			}
		}},
		{"one old page", func() {
			n := rng.IntN(len(r.Old) / page)
			copy(at(n), r.Old[n*page:])
		}},
		{"old metas", func() { copy(b, r.Old[:2*page]) }},
		{"a circle", func() { // a branch that has itself, or its parent, below it
			branches := used(onBranch)
			if len(branches) == 0 {
				clear(at(3))
				return
			}
			p := at(branches[rng.IntN(len(branches))])
			k := rng.IntN(max(1, int(byteOrder.Uint16(p[10:]))))
			byteOrder.PutUint64(p[headBytes+k*elementBytes+8:], uint64(branches[rng.IntN(len(branches))]))
		}},
		{"a page that has another's number", func() { byteOrder.PutUint64(some(), uint64(rng.IntN(pages))) }},
		{"leaves that have other lengths", func() {
			for range 1 + rng.IntN(3) {
				if leaves := used(onLeaf); len(leaves) > 0 {
					p := at(leaves[rng.IntN(len(leaves))])
					byteOrder.PutUint32(p[headBytes+elementBytes*rng.IntN(20)+4*rng.IntN(4):], rng.Uint32()>>rng.IntN(32))
				}
			}
		}},
		{"a freelist that lies", func() {
			if lists := used(onFree); len(lists) > 0 {
				p := at(lists[rng.IntN(len(lists))])
				byteOrder.PutUint64(p[headBytes+8*rng.IntN(10):], uint64(rng.IntN(pages+10)))
				byteOrder.PutUint16(p[10:], uint16(rng.IntN(300)))
			}
		}},
	}
	kind := kinds[seed%len(kinds)]
	if kind.do(); rng.IntN(10) == 0 && len(b) >= page { // and one more
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
	}
	return kind.what, b
}

// whole returns the numbers of the waiting samples of which b holds an unharmed copy.
func (r *ruin) whole(b []byte) map[uint64]bool {
	start := make(map[string]uint64, len(r.Waiting))
	for seq, record := range r.Waiting {
		start[string(record[:format.HeaderBytes])] = seq
	}
	found := make(map[uint64]bool)
	for k := 0; k+format.HeaderBytes <= len(b); k++ {
		if b[k] != format.Version {
			continue
		}
		if seq, ok := start[string(b[k:k+format.HeaderBytes])]; ok && bytes.HasPrefix(b[k:], r.Waiting[seq]) {
			found[seq] = true
		}
	}
	return found
}
