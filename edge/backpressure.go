package edge

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sunspool/edge/inverter"
	"sunspool/edge/spool"
	"sunspool/health"
	"sunspool/wire"
)

// Back-pressure of the spool: the inverter is read less often while the spool fills up, which is reported, and the file is
// made small when it has drained.

// backpressure leaves polls out. The pace of the turns stays what it is, one in so many becomes a poll: so what is left out is
// counted exactly, and a spool that drains is noticed within one turn.
type backpressure struct {
	hysteresis hysteresis
	skipped    int // since the last poll
	every      atomic.Int64

	mu   sync.Mutex
	full *health.Fault // the fault of the level, nil for the lowest
	disk error         // what the buffer reports of the disk
}

// level is how much slower the inverter is read once so much of the spool is used.
type level struct {
	from  float64
	code  string
	every int // so many polls become one; 0 is none
}

// levels of back-pressure. A poll that is not made loses nothing but resolution; deleting would.
var levels = []level{
	{spool.SampleShare, "spool_full", 0},
	{0.95, "spool_95", 12},
	{0.85, "spool_85", 6},
	{spool.ScarceFrom, "spool_70", 2},
	{0, "", 1},
}

// hysteresisBand is how far below a level the spool must be to leave it, so that the level does not change with each poll.
const hysteresisBand = 0.01

// hysteresis holds the present level.
type hysteresis struct{ at int }

// levelOf returns the level for a spool that is filled so far.
func (p *hysteresis) levelOf(share float64) level {
	i := 0
	for share < levels[i].from {
		i++
	}
	if i > p.at && share >= levels[p.at].from-hysteresisBand {
		i = p.at
	}
	p.at = i
	return levels[i]
}

// skip reports whether this turn is no poll, because the spool fills up.
func (e *Edge) skip() bool {
	b, room := &e.backpressure, e.Spool.Capacity()
	at := b.hysteresis.levelOf(room.Share())
	b.every.Store(int64(at.every))
	b.mu.Lock()
	b.full = filling(at, room, e.turn.Interval())
	b.mu.Unlock()
	if b.skipped++; at.every > 0 && b.skipped >= at.every {
		b.skipped = 0
		return false
	}
	e.turn.Pause(at.every == 0 || e.interval() > inverter.LongestIdle) // the dongle need not keep a session for nothing, and may forget one that is idle
	e.turn.Give()
	e.Report.Skipped("spool_full")
	e.reportSpool()
	e.compact()
	e.Report.Write()
	return true
}

// filling returns how full the spool is as a fault, nil while that does not matter.
func filling(at level, room spool.Capacity, interval time.Duration) *health.Fault {
	if at.code == "" {
		return nil
	}
	f := &health.Fault{Code: at.code, What: fmt.Sprintf("the spool is %.0f %% full", room.Share()*100),
		Next: "see why the server does not take the samples; SPOOL_MAX_MB gives more room"}
	if at.every == 0 {
		f.Why = "the inverter is not read until the server takes samples again; nothing is deleted"
	} else {
		f.Why = fmt.Sprintf("the inverter is read every %v until the server takes samples again; nothing is deleted", time.Duration(at.every)*interval)
	}
	return f
}

// interval is the time between polls at present; while there are none, between looks at the spool.
func (e *Edge) interval() time.Duration {
	return e.turn.Interval() * time.Duration(max(e.backpressure.every.Load(), 1))
}

// connectBuffer connects the buffer with the spool.
func (e *Edge) connectBuffer() {
	e.buffer.Spool, e.buffer.Every, e.buffer.Log = e.Spool, e.Commit, e.Log
	e.buffer.wake = make(chan struct{}, 1)
	e.buffer.Lost, e.buffer.Ready = e.Report.Lost, e.ready
	e.buffer.Durable = func(sample wire.Sample) {
		e.Report.Sampled(sample)
		e.Log.Debug("spooled", "sample", sample)
		if e.Kept != nil {
			e.Kept(sample)
		}
	}
}

// stored notes how writing to the disk went.
func (e *Edge) stored(err error) {
	e.backpressure.mu.Lock()
	e.backpressure.disk = err
	e.backpressure.mu.Unlock()
	e.reportSpool()
}

// reportSpool reports the spool's state: what is wrong with the disk, else how full it is.
func (e *Edge) reportSpool() {
	e.backpressure.mu.Lock()
	defer e.backpressure.mu.Unlock()
	switch {
	case e.backpressure.disk != nil:
		e.spool.Report(e.backpressure.disk)
	case e.backpressure.full != nil:
		e.spool.Report(e.backpressure.full)
	default:
		e.spool.Report(e.Spool.Alarm(nil))
	}
}

// compact makes the spool small again when it is drained: between two polls, where there is time.
func (e *Edge) compact() {
	var gained int64
	err := protect(func() (err error) {
		gained, err = e.Spool.Compact()
		return err
	})
	if err != nil {
		e.Log.Warn("spool not compacted", "error", err.Error())
	} else if gained > 0 {
		e.Log.Info("spool compacted", "gained_mib", gained>>20)
	}
}
