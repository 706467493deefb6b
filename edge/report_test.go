package edge

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/wire"
)

// A server that refuses one batch and takes the next, for hours.
func TestUploadsThatFailAndRecoverAreLoggedWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, log, _ := edgeTo(t, nil)
		for i := range 3 * 360 {
			var err error
			if i%2 == 0 {
				err = upload.Explain(errors.New("no route"))
			}
			e.vps.Report(err)
			e.Report.Write()
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(log.String(), "\n"); n > 60 {
			t.Errorf("%d lines in 3 h", n)
		}
	})
}

// With SPOOL_COMMIT_INTERVAL_S a sample is on the disk minutes after its poll.
func TestLastPollIsNotThatOfTheLastCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, _ := edgeTo(t, nil)
		e.Commit = 5 * time.Minute
		e.connectBuffer()
		if h := e.Report.Now(); h.LastPoll != nil {
			t.Errorf("before the first poll it is %v", h.LastPoll)
		}
		for range 10 {
			time.Sleep(5 * time.Second)
			e.buffer.add(sampleAt(time.Now()), spool.When{Quality: spool.Synced})
			e.Report.Polled(nil)
		}
		last := time.Now()
		time.Sleep(5 * time.Second)
		e.Report.Polled(&health.Fault{Code: "inverter_silent", Exit: health.ExitUnreachable})
		if h := e.Report.Now(); h.LastPoll == nil || !h.LastPoll.Equal(last.UTC().Truncate(time.Millisecond)) || h.RAMOnly != 10 {
			t.Errorf("%d in memory, last poll %v, want %v", h.RAMOnly, h.LastPoll, last)
		}
		e.Report.Sampled(wire.Sample{Time: last})
	})
}

// Raw words are logged without those that name the unit.
func TestRawWordsAreAnonymous(t *testing.T) {
	for _, image := range []string{invertertest.HybridImage, "calc-sg5rs-sunny-exporting"} {
		synctest.Test(t, func(t *testing.T) {
			b := invertertest.New(t, invertertest.OfImage(t, image))
			defer b.In.Dongle.Close()
			r := b.MustPoll()
			var log bytes.Buffer
			e := &Edge{RawEach: 1, Log: slog.New(slog.NewJSONHandler(&log, nil))}
			e.logRaw(r)
			if strings.Contains(log.String(), `"4989":`) || !strings.Contains(log.String(), `"4999":`) {
				t.Error(log.String())
			}
		})
	}
}
