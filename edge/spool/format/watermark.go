package format

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"sunspool/internal/durable"
)

const WatermarkStep = 1000 // numbers between two writes of the watermark

// Watermark is a small file beside the spool, which proves that there was a spool. It is written about once in a thousand
// samples.
type Watermark struct {
	Reserved uint64 `json:"reserved"` // numbers up to here may have been used
	Below    uint64 `json:"below"`    // all numbers below had left the spool
	CRC      uint32 `json:"crc32c"`   // of the two
}

func (m Watermark) sum() uint32 {
	return crc32.Checksum(fmt.Appendf(nil, "%d %d", m.Reserved, m.Below), Castagnoli)
}

// ReadWatermark returns the watermark beside the spool at path, the zero value if there is none. With an unreadable one the
// error is set, and the watermark means only that there was a spool.
func ReadWatermark(path string) (m Watermark, err error) {
	file, _, err := durable.Open(path + ".exists")
	if errors.Is(err, fs.ErrNotExist) {
		return Watermark{}, nil
	}
	if err == nil {
		defer file.Close()
		err = json.NewDecoder(file).Decode(&m)
	}
	if err == nil && m.CRC != m.sum() {
		err = errors.New("checksum does not match")
	}
	if err != nil {
		return Watermark{Reserved: 1}, fmt.Errorf("mark of the spool: %w", err)
	}
	return m, nil
}

// WriteWatermark makes m durable beside the spool at path, and returns it as it was written.
func WriteWatermark(path string, m Watermark) (Watermark, error) {
	m.CRC = m.sum()
	b, err := json.Marshal(m)
	if err == nil {
		err = durable.Replace(path+".exists", append(b, '\n'), 0o600, true)
	}
	return m, err
}
