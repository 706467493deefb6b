package deviceinfo

import (
	"slices"
	"time"

	"sunspool/vps/energy"
	"sunspool/vps/query"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

const aDay = 24 * time.Hour

// hours returns those of sp in which a device has samples. Whole days of UTC are not read again while their digest, which may
// be nil, is the same.
func (d *Devices) hours(c *request.Request, device string, sp query.Span, digest *store.Digest) (all []hour, err error) {
	first := sp.From.Truncate(aDay)
	if digest == nil || !sp.From.Equal(sp.From.Truncate(time.Hour)) {
		return d.readHours(c, device, sp)
	}
	for day := first; day.Before(sp.To); {
		some, known := d.days.Get(dayKey(device, day, sp, digest))
		if !known {
			// All days that are not known until the next that is: the store is asked once.
			end := day.Add(aDay)
			for ; end.Before(sp.To); end = end.Add(aDay) {
				if _, known := d.days.Get(dayKey(device, end, sp, digest)); known {
					break
				}
			}
			if some, err = d.readHours(c, device, query.Span{From: day, To: query.Earlier(end, sp.To)}); err != nil {
				return nil, err
			}
			d.keepDays(device, day, end, sp, digest, some)
			day = end
		} else {
			day = day.Add(aDay)
		}
		all = append(all, some...)
	}
	for len(all) > 0 && all[0].first < sp.From.UnixMilli() {
		all = all[1:]
	}
	return all, nil
}

// keepDays keeps the hours of the whole days in [day, end).
func (d *Devices) keepDays(device string, day, end time.Time, sp query.Span, digest *store.Digest, hours []hour) {
	for ; day.Before(end); day = day.Add(aDay) {
		n := 0
		for n < len(hours) && hours[n].first < day.Add(aDay).UnixMilli() {
			n++
		}
		d.days.Put(dayKey(device, day, sp, digest), slices.Clone(hours[:n]))
		hours = hours[n:]
	}
}

// dayKey returns by which key the hours of a day are kept, 0 where they are not.
func dayKey(device string, day time.Time, sp query.Span, digest *store.Digest) uint64 {
	h := store.NewHash()
	h.WriteString(device)
	store.AddWords(h, day.UnixMilli())
	if day.Add(aDay).After(sp.To) || !digest.AddTo(h, day.UnixMilli(), day.Add(aDay).UnixMilli()) {
		return 0
	}
	return store.KeyOf(h)
}

func (d *Devices) readHours(c *request.Request, device string, sp query.Span) ([]hour, error) {
	periods, err := d.Periods(c, store.Query{Device: device, From: sp.From, To: sp.To, Resolution: store.Hour})
	if err != nil {
		return nil, err
	}
	all := make([]hour, 0, len(periods))
	for i := range periods {
		if p := &periods[i]; p.Rows > 0 {
			dark := p.PVMax <= DarkW && p.Weights[energy.AvgBattery] == 0 && p.Weights[energy.AvgSOC] == 0
			all = append(all, hour{p.First, p.Last, dark})
		}
	}
	return all, nil
}
