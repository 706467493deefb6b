package edge

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/inverter/invertertest"
	"sunspool/edge/night"
	"sunspool/health"
)

func TestInverterThatWasNeverSeenIsNoSleeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, _ := edgeTo(t, nil)
		e.Inverter = invertertest.New(t, nil).In
		_, err := e.Inverter.Read(t.Context())
		f := asFault(e.asSleeping(err))
		if f == nil || errors.Is(f, health.ErrResting) || f.Next == "" {
			t.Errorf("at the first start: %v", f)
		}
	})
}

// What another process wrote is asked for by the edge itself, and what cannot be read is no loss.
func TestEdgeRemembersItsNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := invertertest.New(t, invertertest.OfImage(t, "calc-sg5rs-sunny-exporting"))
		b.MustPoll()
		e, _, _ := edgeTo(t, nil)
		e.Inverter = b.In
		e.night.Sampled(now(), 3000, e.Inverter.SleepsAtNight())
		time.Sleep(2 * time.Hour)
		e.night.Sampled(now(), 20, e.Inverter.SleepsAtNight())
		unreachable := &health.Fault{Code: "inverter_unreachable", Exit: health.ExitUnreachable}
		time.Sleep(time.Minute)
		if err := e.asSleeping(unreachable); !errors.Is(err, health.ErrResting) {
			t.Fatalf("in the evening: %v", err)
		}
		if err := e.asSleeping(&health.Fault{Code: "inverter_changed", Exit: health.ExitUnreachable}); errors.Is(err, health.ErrResting) {
			t.Error("another inverter that answers is taken for sleep")
		}
		again := night.Night{File: e.night.File}
		again.Load()
		if !again.Asleep(now().Add(5 * time.Hour)) {
			t.Errorf("another process does not know that it sleeps: %+v", again)
		}
		if err := os.WriteFile(e.night.File, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		again.Load()
		if again.Asleep(now()) {
			t.Error("half a file is believed")
		}
		b.In.Dongle.Close()
	})
}
