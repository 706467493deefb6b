// Package edge is everything left of the wire: it reads the inverter, keeps what it read, and delivers it.
//
//	            collect                                    deliver
//	inverter ──────────> Reading ──> Sample ──> spool ──────────────> vps
//	          Modbus TCP   Normalize    Append   on disk  Peek, POST, Settle
//
// The two loops share nothing but the spool: the inverter is read while the server is away, and the spool drains while
// the inverter is. A sample exists from the moment Append returns, and until the server has it.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/inverter"
	"sunspool/edge/night"
	"sunspool/edge/pace"
	"sunspool/edge/reading"
	"sunspool/edge/report"
	"sunspool/edge/spool"
	"sunspool/edge/upload"
	"sunspool/health"
	"sunspool/wire"
)

const (
	flushTime   = 10 * time.Second // for the last upload before the end
	refillPause = time.Second      // between two batches of samples that the server lost
)

// Edge is one inverter's way to one server. New makes one from settings; a test or the demo may change its parts before
// Run.
type Edge struct {
	DeviceID string
	Every    time.Duration // between uploads while there is no backlog
	Commit   time.Duration // between commits of samples; 0 makes each durable at once
	RawEach  int           // log the raw words every so many polls; 0 is never
	Log      *slog.Logger

	Pace     *pace.Pace
	Inverter *inverter.Inverter
	Spool    *spool.Spool
	Clock    *clock.Clock
	Uploader *upload.Uploader
	Report   *report.Report // health file, status and metrics
	Pulses   *health.Pulses // heartbeats of collect and deliver; may be nil

	Hurry <-chan struct{}   // closed when the last upload is to be left out; may be nil
	Kept  func(wire.Sample) // called with each sample that is durable, with the host's time while it is undated; may be nil

	opened    func() // called when a spool that could not be opened at the start is; may be nil
	token     awaited
	ca        awaited
	registers awaited
	unresumed atomic.Pointer[error] // why what the spool keeps of the inverter is not known yet, see resume

	inverter, spool, clock, vps *health.Link
	collecting, delivering      *health.Pulse
	normal                      reading.Normalizer
	buffer                      buffer
	backpressure                backpressure
	turn                        *inverter.Turn
	polls                       int
	night                       night.Night
}

// Run reads and delivers until ctx ends; then it stops reading, writes what is in memory, and tries once more, for a short
// time or until Hurry is closed, to deliver what is waiting. The spool is still open when it returns.
func (e *Edge) Run(ctx context.Context) error {
	chain := e.Report.Chain
	e.inverter, e.spool, e.clock, e.vps = chain.Link("inverter"), chain.Link("spool"), chain.Link("clock"), chain.Link("vps")
	e.spool.Report(e.Spool.Alarm(nil))
	e.collecting, e.delivering = e.Pulses.Loop(e.loop("collect")), e.Pulses.Loop(e.loop("deliver")) // a spool that hangs makes both stand still

	e.connectBuffer()
	e.turn.OnAsked(func() { // a poll may take minutes, of this inverter or of another one behind the dongle
		e.collecting.Beat(0)
		e.Report.Refresh()
	})
	e.Report.Write() // for readers before the first poll is over

	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var loops sync.WaitGroup
	loops.Go(func() {
		e.collect(ctx)
		e.keep()
	})
	loops.Go(func() { e.buffer.run(ctx.Done(), e.stored) })
	loops.Go(func() { e.deliver(ctx) })
	loops.Go(func() {
		defer stop()
		select {
		case <-ctx.Done():
		case <-e.Spool.Lost():
		}
	})
	loops.Wait()
	if err := e.Spool.Failure(); err != nil {
		e.spool.Report(e.Spool.Alarm(err))
		e.Report.Write()
		return err
	}

	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	loops.Go(func() {
		select {
		case <-e.Hurry:
			cancel()
		case <-last.Done():
		}
	})
	e.flush(last)
	protect(func() error { e.Uploader.Copies.Flush(); return nil })
	cancel()
	loops.Wait()
	e.Report.Write()
	return nil
}

// keep writes what is in memory only. What a disk that fails does not take is counted as lost.
func (e *Edge) keep() {
	e.night.Save()
	e.Spool.Hurry()
	e.resume()
	e.stored(e.buffer.flush())
}

// collect polls at the pace that the dongle can take.
func (e *Edge) collect(ctx context.Context) {
	defer e.turn.Leave()
	for e.await(ctx) == nil {
		e.checkClock()
		e.resume()
		if e.unread() || e.skip() {
			continue
		}
		err := protect(func() error { return e.poll(ctx) })
		e.turn.Give()
		if ctx.Err() != nil && !e.Report.HasSample() {
			return // it was cut off
		}
		e.Report.Polled(err)
		e.inverter.Report(err)
		e.compact()
		e.Report.Write()
	}
}

// checkClock reports how the clock is. While the spool is not open, that is what is wrong.
func (e *Edge) checkClock() {
	if err := protect(e.Clock.Check); e.Spool.Closed() == nil {
		e.clock.Report(err)
	} else {
		e.reportSpool()
	}
}

// await waits for the turn of the inverter, and so for the rest of the dongle between two polls. It ends the turn before,
// if there is one.
func (e *Edge) await(ctx context.Context) error {
	e.turn.Give()
	e.collecting.Beat(e.turn.Longest())
	return e.turn.Take(ctx)
}

// poll reads the inverter once and makes the sample durable, at once or with those that wait in the buffer. The error is
// the inverter's; the spool reports its own.
func (e *Edge) poll(ctx context.Context) error {
	if err := e.Inverter.Dongle.AwaitPause(ctx, e.Inverter.Unit); err != nil {
		return err
	}
	reading, err := e.Inverter.Read(ctx)
	if err != nil {
		return e.asSleeping(err)
	}
	e.Report.Read(reading)
	e.logRaw(reading)
	at, when := e.Clock.Date(now().Sub(reading.At))
	sample, found, err := e.normal.Normalize(reading, at, when.Quality != spool.Undated)
	e.Report.Found(found)
	if still := e.normal.Still(); still > 0 {
		return e.reconnect(still)
	}
	if err != nil {
		return e.unusable(err)
	}
	e.Inverter.Recovered()
	sample.DeviceID, sample.Time = e.DeviceID, at
	e.night.Rated(1000 * sample.Values["nominal_power"])
	e.night.Sampled(now(), sample.PVPowerW, e.Inverter.SleepsAtNight())
	e.Report.Measured()
	when.Touched = e.Pace.TouchedSince()
	e.turn.Give() // a disk that hangs keeps the other inverters from nothing
	e.stored(e.buffer.add(sample, when))
	if found.Asleep {
		return asleep
	}
	return nil
}

// deliver uploads batch after batch while there is a backlog, and else once per interval. What it cannot deliver waits.
func (e *Edge) deliver(ctx context.Context) {
	for {
		more, err := e.deliverOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := e.Every
		_, missing := err.(*absentFile)
		switch {
		case missing:
			wait = awaitRetry
		case err != nil:
			wait = e.Uploader.Wait(err)
		case more:
			wait = 0
		default:
			wait = e.refill(ctx, wait)
		}
		protect(func() error { e.Uploader.Copies.Tidy(err != nil); return nil })
		e.delivering.Beat(wait)
		if pace.Sleep(ctx, wait) != nil {
			return
		}
	}
}

// refill sends again what the server lacks, while there is nothing else to deliver, and returns how long to wait then.
func (e *Edge) refill(ctx context.Context, wait time.Duration) time.Duration {
	for until := now().Add(wait); ; {
		more := false
		protect(func() error { more = e.Uploader.Refill(ctx); return nil })
		left := max(until.Sub(now()), 0)
		if !more || left <= refillPause {
			return left
		}
		e.delivering.Beat(refillPause)
		if pace.Sleep(ctx, refillPause) != nil {
			return 0
		}
	}
}

// deliverOnce makes one attempt and reports the link to the server: by what was stored, by what went wrong, and also by
// what was refused without anything else being taken.
func (e *Edge) deliverOnce(ctx context.Context) (more bool, err error) {
	if e.Spool.Available() != nil {
		e.reportSpool()
		return false, nil
	}
	before, proved, asked := e.Uploader.Uploaded.Load(), e.Uploader.ProvedAt(), e.Uploader.Requests.Load()
	err = protect(func() error {
		more, err = e.upload(ctx)
		return err
	})
	if ctx.Err() != nil && err != nil {
		return false, err // ours, not the server's
	}
	if _, ours := errors.AsType[*spool.Error](err); ours {
		e.spool.Report(spool.ReadFault(err))
		return false, err
	}
	if missing, ok := err.(*absentFile); ok {
		e.vps.Report(missing.Fault)
		return false, err
	}
	if e.Uploader.Requests.Load() > asked {
		e.Report.Tried(!e.Uploader.ProvedAt().Equal(proved), err)
	}
	if sent := e.Uploader.Uploaded.Load() - before; sent > 0 {
		e.Report.Uploaded()
		e.Log.Debug("uploaded", "samples", sent, "waiting", e.Spool.Waiting())
	} else if err == nil && e.Uploader.ProvedAt().Equal(proved) {
		if refused := e.Uploader.Refusal(); refused != nil {
			e.vps.Report(upload.Explain(refused))
		}
		return more, nil // nothing was accepted, so nothing else is known of the server
	}
	e.vps.Report(upload.Explain(err))
	return more, err
}

// flush delivers what is waiting, as far as the time allows. What is left is delivered after the next start.
func (e *Edge) flush(ctx context.Context) {
	for more := e.Spool.Ready() > 0; more && ctx.Err() == nil; {
		var err error
		if more, err = e.deliverOnce(ctx); err != nil {
			break
		}
	}
	e.Log.Info("stopped", "waiting", e.Spool.Waiting())
}

// loop is the name of a loop of this edge among those of all.
func (e *Edge) loop(name string) string {
	if e.turn.Alone {
		return name
	}
	return name + " " + e.DeviceID
}

func (e *Edge) logRaw(r inverter.Reading) {
	if e.RawEach > 0 && e.polls%e.RawEach == 0 {
		e.Log.Info("raw words", "model", r.Model.Name, "words", r.Anonymous())
	}
	e.polls++
}

// protect makes a panic in one loop an error of that loop: the other goes on, and so does this one.
func protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bug: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
