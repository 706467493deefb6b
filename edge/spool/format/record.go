package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"sunspool/wire"
)

// Record is a sample in the spool. Its number is never used again.
type Record struct {
	Seq    uint64
	Sample wire.Sample
	When   When
	Sum    uint32 // the checksum of what it was decoded from: two with the same number and sum are the same
}

// When is the host's time information when a sample was made. It never changes; the sample's own time may become known
// later.
type When struct {
	Boot    uint32        // number of the boot in the spool, 0 if unknown
	Since   time.Duration // uptime of the host, suspended time included
	Quality Quality       // of Sample.Time

	// Not in the record, but stored with it:
	BootID  string        // of a boot whose number is not known yet, see Spool.numberBoot
	Touched time.Duration // since the boot: when the dongle was last touched, see Spool.noteTouch; 0 if unknown
}

// Quality is where a sample's time comes from.
type Quality uint8

const (
	Undated   Quality = iota // unknown: the sample waits until its time is known
	Synced                   // the clock of the kernel, set by a time server
	ByServer                 // the Date of responses of our own server
	Estimated                // placed between the known times before and after its boot
	Believed                 // the clock of the host, which the operator set to be trusted
)

func (q Quality) String() string {
	names := []string{"unsynced", "synced", "server", "estimated", "believed"}
	return names[min(int(q), len(names)-1)]
}

// A record is a version byte, the CRC-32C of all that follows it, the sequence number, the quality, the boot and the
// time since then as varints, and the packed sample. bbolt checks only its own first pages, and a bit that flips
// anywhere else must not change a measurement. The number is in the record too, so that records found in a damaged file can
// be identified.
const (
	Version       = 1
	HeaderBytes   = 1 + 4 + 8 + 1
	longestRecord = 8 << 10 // of those that a spool holds
)

var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *Record) Encode() []byte {
	b := make([]byte, HeaderBytes, HeaderBytes+512)
	b[0] = Version
	binary.BigEndian.PutUint64(b[5:], r.Seq)
	b[13] = byte(r.When.Quality)
	b = binary.AppendUvarint(b, uint64(r.When.Boot))
	b = binary.AppendUvarint(b, uint64(r.When.Since))
	b = r.Sample.AppendPacked(b)
	binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[5:], Castagnoli))
	return b
}

// ClearTimestamp returns a copy of a whole record whose time is not known any more.
func ClearTimestamp(record []byte) []byte {
	b := bytes.Clone(record)
	b[13] = byte(Undated)
	binary.BigEndian.PutUint32(b[1:], crc32.Checksum(b[5:], Castagnoli))
	return b
}

// Check returns the number of the record in b if it is whole.
func Check(b []byte) (seq uint64, err error) {
	switch {
	case len(b) < HeaderBytes:
		return 0, fmt.Errorf("record of %d bytes", len(b))
	case b[0] != Version:
		return 0, fmt.Errorf("record version %d, this program knows %d", b[0], Version)
	case crc32.Checksum(b[5:], Castagnoli) != Sum(b):
		return 0, errors.New("checksum does not match")
	}
	return binary.BigEndian.Uint64(b[5:]), nil
}

// Sum returns the checksum that is written in a record, 0 if b is too short for one.
func Sum(b []byte) uint32 {
	if len(b) < HeaderBytes {
		return 0
	}
	return binary.BigEndian.Uint32(b[1:])
}

// Find returns the record at the front of b, however long it is, and nil if there is none: it finds records whose pages are
// damaged.
func Find(b []byte) []byte {
	// Before the checksum is tried at every length: numbers do not grow beyond 2^40 in the life of an inverter.
	if len(b) < HeaderBytes || b[0] != Version || b[5]|b[6]|b[7] != 0 || b[13] > byte(Believed) {
		return nil
	}
	seq, want := binary.BigEndian.Uint64(b[5:]), binary.BigEndian.Uint32(b[1:])
	sum := crc32.Checksum(b[5:HeaderBytes], Castagnoli)
	for n := HeaderBytes; seq > 0; n++ {
		if sum == want {
			if _, err := Decode(seq, b[:n]); err == nil {
				return b[:n:n]
			}
		}
		if n == min(len(b), longestRecord) {
			break
		}
		sum = ^(Castagnoli[byte(^sum)^b[n]] ^ ^sum>>8) // one byte more
	}
	return nil
}

// Decode returns the record in b, which must have that number. It keeps no reference to b.
func Decode(seq uint64, b []byte) (Record, error) { return decode(seq, b, (*wire.Sample).Unpack) }

// DecodeFields is Decode without the sample's Values, which are most of it: for work on timestamps alone.
func DecodeFields(seq uint64, b []byte) (Record, error) {
	return decode(seq, b, (*wire.Sample).UnpackFields)
}

func decode(seq uint64, b []byte, unpack func(*wire.Sample, []byte) error) (Record, error) {
	got, err := Check(b)
	if err != nil {
		return Record{}, err
	}
	if got != seq {
		return Record{}, fmt.Errorf("record %d under number %d", got, seq)
	}
	r := Record{Seq: seq, When: When{Quality: Quality(b[13])}, Sum: Sum(b)}
	b = b[HeaderBytes:]
	boot, n := binary.Uvarint(b)
	since, m := binary.Uvarint(b[max(n, 0):])
	if n <= 0 || m <= 0 || boot > 1<<32-1 {
		return Record{}, errors.New("malformed time of a record")
	}
	r.When.Boot, r.When.Since = uint32(boot), time.Duration(since)
	if err := unpack(&r.Sample, b[n+m:]); err != nil {
		return Record{}, err
	}
	return r, nil
}
