package salvage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"
	"slices"
)

// boltFile reads a bbolt file page by page, and checks everything that a page contains.
//
//	meta ──> root ──> bucket ──> branch ──> leaf: key, value, key, value, ...
//
// bbolt itself follows whatever a page contains: on a damaged one it panics, faults or, where pages point in a circle,
// loops indefinitely, and such a goroutine cannot be ended. Here each page is visited once, so that a scan reads each
// used page at most once, whatever the pages contain. bbolt opens only files that passed.
type boltFile struct {
	r        io.ReaderAt
	size     int64 // of the file
	pageSize int64
	count    uint64 // pages in use or free: the file's high-water mark, as far as the file reaches
	seen     bitmap // pages that something refers to
	damage   error  // the first one that was found
}

// bbolt's file format. Numbers are in the byte order of the machine.
const (
	pageHeader  = 16 // id uint64, flags uint16, count uint16, overflow uint32
	element     = 16 // leaf: flags, pos, ksize, vsize uint32; branch: pos, ksize uint32, page uint64
	inBucket    = 16 // root page uint64, sequence uint64
	metaSize    = 64
	branchPage  = 0x01
	leafPage    = 0x02
	metaPage    = 0x04
	freePage    = 0x10
	bucketValue = 0x01 // flag of a leaf element
	boltMagic   = 0xED0CDAED
	boltVersion = 2
	deepest     = 64 // levels of a tree; a real one has four
)

var native = binary.NativeEndian

// meta is the root of one of the two last commits.
type meta struct {
	pageSize            int64
	root, free, hwm, tx uint64
}

// item is a key and its value, or a bucket, in a page whose number is page. The bytes are valid during the call only.
type item struct {
	key, value []byte
	bucket     bool
	page       uint64
}

// openBoltFile finds the two metas of a file, newest first. For a file without any it returns none, and the usual page size.
func openBoltFile(r io.ReaderAt, size int64) (p *boltFile, metas []meta) {
	p = &boltFile{r: r, size: size, pageSize: 4096}
	first, ok := p.meta(0)
	if ok {
		p.pageSize = first.pageSize
		metas = append(metas, first)
	}
	for _, at := range p.metaOffsets(ok) {
		if second, ok := p.meta(at); ok && second.pageSize == at {
			p.pageSize = at
			metas = append(metas, second)
			break
		}
	}
	if len(metas) == 2 && metas[1].tx > metas[0].tx {
		metas[0], metas[1] = metas[1], metas[0]
	}
	if len(metas) < 2 {
		p.fail(errors.New("one or both of the two meta pages are damaged"))
	}
	p.count = uint64(size / p.pageSize)
	return p, metas
}

// metaOffsets are the places where the second meta may be.
func (p *boltFile) metaOffsets(known bool) (all []int64) {
	if known {
		return []int64{p.pageSize}
	}
	for at := int64(512); at <= 1<<16; at *= 2 {
		all = append(all, at)
	}
	return all
}

func (p *boltFile) meta(at int64) (m meta, ok bool) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := p.r.ReadAt(b, at); err != nil {
		return m, false
	}
	flags, b := native.Uint16(b[8:]), b[pageHeader:]
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if flags != metaPage || native.Uint32(b) != boltMagic || native.Uint32(b[4:]) != boltVersion || native.Uint64(b[56:]) != sum.Sum64() {
		return m, false
	}
	m = meta{
		pageSize: int64(native.Uint32(b[8:])), root: native.Uint64(b[16:]), free: native.Uint64(b[32:]),
		hwm: native.Uint64(b[40:]), tx: native.Uint64(b[48:]),
	}
	return m, bits.OnesCount64(uint64(m.pageSize)) == 1 && m.pageSize >= 512 && m.pageSize <= 1<<16
}

// walk visits every item of the tree of m that can be reached: those of the root with bucket nil, and those of each
// bucket in it. Damaged items are skipped and recorded.
func (p *boltFile) walk(m meta, visit func(bucket []byte, sequence uint64, i item)) {
	whole := uint64(p.size / p.pageSize)
	if m.hwm > whole {
		p.fail(fmt.Errorf("the file ends at page %d of %d", whole, m.hwm))
	}
	p.count = min(m.hwm, whole)
	p.seen = newBitmap(whole)
	p.take(0)
	p.take(1)
	p.freelist(m.free)
	p.tree(m.root, nil, nil, 0, func(i item) {
		visit(nil, 0, i)
		if !i.bucket {
			return
		}
		if len(i.value) < inBucket {
			p.fail(fmt.Errorf("bucket %q has a head of %d bytes", i.key, len(i.value)))
			return
		}
		name, sequence := bytes.Clone(i.key), native.Uint64(i.value[8:])
		inside := func(i item) { visit(name, sequence, i) }
		if root := native.Uint64(i.value); root != 0 {
			p.tree(root, nil, nil, 0, inside)
		} else {
			p.elements(i.value[inBucket:], i.page, nil, nil, 0, inside)
		}
	})
}

// tree visits the items below page id, whose keys must be in [low, high).
func (p *boltFile) tree(id uint64, low, high []byte, depth int, visit func(item)) {
	b := p.read(id, branchPage, leafPage)
	if b != nil {
		p.elements(b, id, low, high, depth, visit)
	}
}

// elements visits the items of the page in b, or below it.
func (p *boltFile) elements(b []byte, id uint64, low, high []byte, depth int, visit func(item)) {
	if len(b) < pageHeader {
		p.fail(fmt.Errorf("page %d: an inline bucket of %d bytes", id, len(b)))
		return
	}
	flags, n := native.Uint16(b[8:]), int(native.Uint16(b[10:]))
	switch {
	case depth > deepest || flags != branchPage && flags != leafPage || flags == branchPage && n == 0:
		p.fail(fmt.Errorf("page %d: flags %#x, %d elements, level %d", id, flags, n, depth))
		return
	case pageHeader+n*element > len(b):
		p.fail(fmt.Errorf("page %d: %d elements do not fit", id, n))
		return
	}
	key := func(k int) []byte { // nil if it is not inside of the page
		e := b[pageHeader+k*element:]
		pos, size := native.Uint32(e), native.Uint32(e[4:])
		if flags == leafPage {
			pos, size = native.Uint32(e[4:]), native.Uint32(e[8:])
		}
		return within(b, pageHeader+k*element, pos, size)
	}
	for k := range n {
		e, this, last := b[pageHeader+k*element:], key(k), low
		if k > 0 {
			last = key(k - 1)
		}
		order := bytes.Compare(this, last)
		belongs := this != nil && (high == nil || bytes.Compare(this, high) < 0) && (last == nil || order > 0 || order == 0 && k == 0)
		if !belongs {
			p.fail(fmt.Errorf("page %d: key %d is not where it belongs", id, k))
		}
		if flags == branchPage {
			next := high
			if k+1 < n {
				next = key(k + 1)
			}
			if !belongs { // what is below it may be whole
				this, next = nil, nil
			} else if k == 0 && low == nil { // bbolt reads the first child for whatever is before it
				this = nil
			}
			p.tree(native.Uint64(e[8:]), bytes.Clone(this), bytes.Clone(next), depth+1, visit)
			continue
		}
		pos, ksize, vsize := native.Uint32(e[4:]), native.Uint32(e[8:]), native.Uint32(e[12:])
		value := within(b, pageHeader+k*element, pos+ksize, vsize)
		if this == nil || value == nil {
			p.fail(fmt.Errorf("page %d: item %d is not inside", id, k))
			continue
		}
		visit(item{this, value, native.Uint32(e)&bucketValue != 0, id})
	}
}

// within returns b[at+pos:][:size], nil if b ends before, and not nil if size is 0.
func within(b []byte, at int, pos, size uint32) []byte {
	from := int64(at) + int64(pos)
	if from+int64(size) > int64(len(b)) {
		return nil
	}
	return b[from : from+int64(size) : from+int64(size)]
}

// freelist marks the free pages as seen, so that a page that is both free and in use is found.
func (p *boltFile) freelist(id uint64) {
	b := p.read(id, freePage)
	if b == nil {
		return
	}
	n, list := uint64(native.Uint16(b[10:])), b[pageHeader:]
	if n == 0xFFFF && len(list) >= 8 {
		n, list = native.Uint64(list), list[8:]
	}
	if n > uint64(len(list)/8) {
		p.fail(fmt.Errorf("freelist of %d pages in %d bytes", n, len(list)))
		return
	}
	for k := range n {
		if id := native.Uint64(list[8*k:]); !p.take(id) {
			p.fail(fmt.Errorf("page %d is free and is none, or twice", id))
			return
		}
	}
}

// read returns the page id with its overflow, nil if it is damaged or was read before.
func (p *boltFile) read(id uint64, flags ...uint16) []byte {
	head := make([]byte, pageHeader)
	if id < 2 || id >= p.count {
		p.fail(fmt.Errorf("page %d of %d is wanted", id, p.count))
		return nil
	}
	if _, err := p.r.ReadAt(head, int64(id)*p.pageSize); err != nil {
		p.fail(fmt.Errorf("page %d: %w", id, err))
		return nil
	}
	overflow, got := uint64(native.Uint32(head[12:])), native.Uint16(head[8:])
	long := max(1<<20, int64(p.count)*8) / p.pageSize // a freelist of all pages, a node with the longest items
	if !slices.Contains(flags, got) || native.Uint64(head) != id || id+overflow >= p.count || int64(overflow) > long+1 {
		p.fail(fmt.Errorf("page %d says that it is page %d with flags %#x and %d more pages", id, native.Uint64(head), got, overflow))
		return nil
	}
	for k := range overflow + 1 {
		if !p.take(id + k) {
			p.fail(fmt.Errorf("page %d is used twice", id+k))
			return nil
		}
	}
	b := make([]byte, int64(overflow+1)*p.pageSize)
	if _, err := p.r.ReadAt(b, int64(id)*p.pageSize); err != nil {
		p.fail(fmt.Errorf("page %d: %w", id, err))
		return nil
	}
	return b
}

// take marks page id as referred to, and reports whether it exists and was not marked before.
func (p *boltFile) take(id uint64) bool { return id < p.count && p.seen.set(id) }

func (p *boltFile) fail(err error) {
	if p.damage == nil {
		p.damage = err
	}
}

type bitmap []uint64

func newBitmap(n uint64) bitmap { return make(bitmap, n/64+1) }

func (m bitmap) has(i uint64) bool { return i/64 < uint64(len(m)) && m[i/64]&(1<<(i%64)) != 0 }

// set returns whether i was not set before.
func (m bitmap) set(i uint64) bool {
	if i/64 >= uint64(len(m)) || m.has(i) {
		return false
	}
	m[i/64] |= 1 << (i % 64)
	return true
}
