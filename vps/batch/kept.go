package batch

import (
	"encoding/json"
	"slices"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/store"
	"sunspool/wire"
)

const (
	hourMS = int64(time.Hour / time.Millisecond)

	// mostInHour is how many samples of a device a store takes in an hour.
	mostInHour = store.MostInSpan * 12
)

// readKept reads what the edge keeps of what it delivered. It comes only to a server that asked for it, in a batch without
// samples, so what is wrong in it may refuse the whole.
func (d *Decoder) readKept() error {
	raw, err := d.json.ReadValue()
	if err != nil {
		return err
	}
	kept := new(wire.Kept)
	if json.Unmarshal(raw, kept) != nil {
		return problem.Invalid("kept_invalid", "Input should be a device and pairs of integers", "kept")
	}
	if !slices.Contains(d.among, kept.DeviceID) || d.Device != "" && d.Device != kept.DeviceID {
		d.Foreign = true
		return nil
	}
	first, last := int64(0), d.now.Add(wire.MaxAhead).UnixMilli()
	for i, pair := range kept.Hours {
		var what string
		switch start, n := pair[0], pair[1]; {
		case start%hourMS != 0 || start < wire.Oldest.UnixMilli() || start > last:
			what = "must begin with a full hour between 2010 and now, in ms since 1970"
		case n < 1 || n > mostInHour:
			what = "must have 1 to 36000 samples"
		case i > 0 && start <= kept.Hours[i-1][0]:
			what = "must be later than the one before"
		case i == 0:
			first = start
		case start-first >= wire.MaxKeptHours*hourMS:
			what = "must be less than 768 hours after the first"
		}
		if what != "" {
			return problem.Invalid("kept_invalid", what, "kept", "hours", i)
		}
	}
	d.Device, d.Kept = kept.DeviceID, kept
	return nil
}
