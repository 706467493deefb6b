package bolt

import (
	"encoding/binary"
	"fmt"
	"io"

	"go.etcd.io/bbolt"
)

// pages walks the pages of a file as bbolt lays them out, but without bbolt, which follows a wrong number out of the file or
// in circles: its own check ends the program then. Afterwards that check is safe.
//
//	page    its number (8 bytes), kind (2), count of elements (2), how many pages more it has (4); then the elements
//	branch  where its key is (4), length of the key (4), page below (8)
//	leaf    whether it is a bucket (4), where its key is (4), length of the key (4), of the value (4)
type pages struct {
	file io.ReaderAt
	size uint64          // of a page
	end  uint64          // number behind the last page
	seen map[uint64]bool // a page has one parent
}

const (
	branchPage   = 1
	leafPage     = 2
	freelistPage = 16
	pageHeader   = 16
	element      = 16 // bytes, of both kinds
	bucketHeader = 16 // number of its first page, or 0 with the page behind it; sequence
)

// Where a meta page has its fields.
const (
	metaRoot     = pageHeader + 16
	metaFreelist = pageHeader + 32
	metaTxID     = pageHeader + 48
	metaEnd      = pageHeader + 64
)

// checkPages returns what is wrong with the pages that tx sees, as bytes of file.
func checkPages(tx *bbolt.Tx, file io.ReaderAt) error {
	p := &pages{file: file, size: uint64(tx.DB().Info().PageSize), seen: map[uint64]bool{}}
	p.end = uint64(tx.Size()) / p.size
	for i := range uint64(2) {
		meta := make([]byte, metaEnd)
		if _, err := file.ReadAt(meta, int64(i*p.size)); err != nil {
			return err
		}
		if word(meta, metaTxID) != uint64(tx.ID()) {
			continue
		}
		if free := word(meta, metaFreelist); free < p.end {
			if _, err := p.read(free, freelistPage); err != nil {
				return err
			}
		}
		return p.walk(word(meta, metaRoot))
	}
	return fmt.Errorf("no meta page has the number %d", tx.ID())
}

func word(b []byte, at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }

func half(b []byte, at int) uint64 { return uint64(binary.NativeEndian.Uint32(b[at:])) }

// walk checks a page and those below it.
func (p *pages) walk(id uint64) error {
	page, err := p.read(id, branchPage|leafPage)
	if err != nil {
		return err
	}
	if err := p.elements(page); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// read returns a whole page that is of one of the kinds.
func (p *pages) read(id uint64, kinds uint16) ([]byte, error) {
	if id < 2 || id >= p.end {
		return nil, fmt.Errorf("page %d of %d", id, p.end)
	}
	page := make([]byte, p.size)
	if _, err := p.file.ReadAt(page, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	more, kind := half(page, 12), binary.NativeEndian.Uint16(page[8:])
	if word(page, 0) != id || kind&kinds != kind || kind == 0 || id+more >= p.end {
		return nil, fmt.Errorf("page %d is none", id)
	}
	for i := id; i <= id+more; i++ {
		if p.seen[i] {
			return nil, fmt.Errorf("page %d is in two places", i)
		}
		p.seen[i] = true
	}
	if more == 0 {
		return page, nil
	}
	page = make([]byte, (more+1)*p.size)
	if _, err := p.file.ReadAt(page, int64(id*p.size)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return page, nil
}

// elements checks those of a page, and what is below them.
func (p *pages) elements(page []byte) error {
	branch := binary.NativeEndian.Uint16(page[8:]) == branchPage
	count, end := int(binary.NativeEndian.Uint16(page[10:])), uint64(len(page))
	if pageHeader+count*element > len(page) || branch && count == 0 {
		return fmt.Errorf("it has %d elements", count)
	}
	for i := range count {
		at := pageHeader + i*element
		if branch {
			if uint64(at)+half(page, at)+half(page, at+4) > end {
				return fmt.Errorf("element %d is outside of it", i)
			}
			if err := p.walk(word(page, at+8)); err != nil {
				return err
			}
			continue
		}
		value := uint64(at) + half(page, at+4) + half(page, at+8)
		after := value + half(page, at+12)
		if after > end {
			return fmt.Errorf("element %d is outside of it", i)
		}
		if half(page, at)&1 == 0 {
			continue
		}
		if err := p.bucket(page[value:after]); err != nil {
			return err
		}
	}
	return nil
}

func (p *pages) bucket(value []byte) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("a bucket of %d bytes", len(value))
	}
	if root := word(value, 0); root != 0 {
		return p.walk(root)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || binary.NativeEndian.Uint16(inline[8:]) != leafPage {
		return fmt.Errorf("a bucket of %d bytes has no page", len(value))
	}
	return p.elements(inline)
}
