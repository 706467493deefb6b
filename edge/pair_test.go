package edge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/edge/report"
	"sunspool/edge/simulator"
	"sunspool/edge/spool/format"
	"sunspool/internal/race"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// Whatever goes wrong, and however often the process ends: each inverter's samples arrive under its own name, all of them,
// and the dongle never had two connections or polls that were too close.
func TestTwoInvertersBehindOneDongleLoseNothing(t *testing.T) {
	span := 3 * time.Hour
	if testing.Short() {
		span = 90 * time.Minute
	}
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, dir)
		dice := rand.New(rand.NewPCG(3, 4))
		faults := []string{"", "", "silent@0.1", "reset@0.1", "exception=6@0.2", "exception=11", "half@0.1", "slow=2s@0.3", "idle=4s", "off@0.2", "late=7s@0.1", "wrong-unit@0.1"}
		b.start()
		for began := time.Now(); time.Since(began) < span; {
			var all []string
			if text := faults[dice.IntN(len(faults))]; text != "" {
				all = append(all, text)
			}
			b.Faults(all...)
			if f, err := simulator.ParseFault("silent"); err == nil && dice.IntN(3) == 0 {
				f.Unit = byte(1 + dice.IntN(2))
				b.Sim.SetFaults(f)
			}
			b.mu.Lock()
			b.cut = dice.IntN(3) == 0
			b.mu.Unlock()
			time.Sleep(time.Duration(60+dice.IntN(240)) * time.Second)
			switch dice.IntN(4) {
			case 0:
				b.end()
				b.start()
			case 1:
				b.crash()
				b.start()
			}
		}
		b.mu.Lock()
		b.cut = false
		b.mu.Unlock()
		b.Sim.SetFaults()
		roof, garage := b.count(b.made, "roof"), b.count(b.made, "garage")
		time.Sleep(15 * time.Minute)
		if r, g := b.count(b.made, "roof")-roof, b.count(b.made, "garage")-garage; r < 25 || g < 25 { // one that was silent may have 10 min of rest before it
			t.Errorf("in 15 min without faults there are %d and %d samples", r, g)
		}
		b.end()
		b.complete()
		b.Polite()
		a := b.Sim.Audit()
		t.Logf("%d and %d samples, %+v", len(b.made["roof"]), len(b.made["garage"]), a)
		if a.Polls < int(span/(10*time.Second)) || len(b.made["garage"]) < 100 {
			t.Error("the test tests nothing")
		}
	})
}

// Each is read at the interval of the settings, or as fast as the dongle bears.
func TestTwoInvertersAreReadInTurn(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: a day of polls")
	}
	for pollS, interval := range map[float64]time.Duration{5: 10 * time.Second, 12: 12 * time.Second, 30: 30 * time.Second} {
		dir := testhost.MemoryDir(t)
		synctest.Test(t, func(t *testing.T) {
			b := newPairBed(t, dir)
			b.pollS = pollS
			b.start()
			time.Sleep(100*interval + 5*time.Second)
			for _, e := range b.edges {
				n := b.count(b.made, e.DeviceID)
				if n < 99 || n > 101 {
					t.Errorf("every %v s: %s has %d samples in 100 intervals", pollS, e.DeviceID, n)
				}
				if told := e.Uploader.Describe().PollIntervalS; told != interval.Seconds() {
					t.Errorf("every %v s: the server is told %v s", pollS, told)
				}
			}
			if a := b.Sim.Audit(); pollS == 5 && a.Connects != 1 {
				t.Errorf("%d connections", a.Connects)
			}
			b.end()
			b.complete()
			b.Polite()
		})
	}
}

// A unit id that nobody has costs the connection at each of its polls: it is asked rarely, and the other inverter keeps
// its own polls. When there is somebody, the first sample comes within minutes.
func TestUnitThatCostsTheConnectionIsAskedRarely(t *testing.T) {
	race.Skip(t, "TestTwoInvertersBehindOneDongleLoseNothing is raced")
	span := 6 * time.Hour // longer than its rest grows
	if testing.Short() {
		span = 3 * time.Hour
	}
	for _, fault := range []simulator.Fault{{Kind: "silent", Unit: 2}, {Kind: "reset", Unit: 2}, {Kind: "silent", Unit: 1}} {
		dir := testhost.MemoryDir(t)
		synctest.Test(t, func(t *testing.T) {
			b := newPairBed(t, dir)
			well, ill := "roof", "garage"
			if fault.Unit == 1 {
				well, ill = ill, well
			}
			b.Sim.SetFaults(fault)
			b.start()
			took := span
			if fault != (simulator.Fault{Kind: "silent", Unit: 2}) {
				took = 3 * time.Hour
			}
			time.Sleep(took)
			want := int(took / (10 * time.Second))
			got := b.count(b.made, well)
			t.Logf("%v: %d of %d samples", fault, got, want)
			if got < want*95/100 || b.count(b.made, ill) > 0 {
				t.Errorf("%v: %d of %d samples, and %d of unit %d", fault, got, want, b.count(b.made, ill), fault.Unit)
			}
			for _, e := range b.edges { // the reason is the same in each of its beats
				for range 10 {
					said, names := e.Report.State().Sentence, fmt.Sprintf("unit %d does not answer, while another", fault.Unit)
					if strings.Contains(said, names) != (e.DeviceID == ill) {
						t.Errorf("%v: %s: %q", fault, e.DeviceID, said)
					}
					time.Sleep(10 * time.Second)
				}
			}
			b.Sim.SetFaults()
			time.Sleep(12 * time.Minute)
			if b.count(b.made, ill) == 0 {
				t.Errorf("%v: unit %d has no sample after 12 min", fault, fault.Unit)
			}
			b.end()
			b.Polite()
		})
	}
}

// When the dongle itself is away no unit is to blame: both are back as soon as it is.
func TestBothInvertersAreBackWithTheirDongle(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, dir)
		b.start()
		time.Sleep(5 * time.Minute)
		b.Faults("silent")
		time.Sleep(3 * time.Hour)
		b.Faults()
		roof, garage := b.count(b.made, "roof"), b.count(b.made, "garage")
		time.Sleep(3 * time.Minute)
		if r, g := b.count(b.made, "roof")-roof, b.count(b.made, "garage")-garage; r < 5 || g < 5 {
			t.Errorf("3 min after the dongle is back there are %d and %d samples", r, g)
		}
		b.end()
		b.complete()
		b.Polite()
	})
}

// One of them may take minutes for a poll: neither the check nor the watchdog takes the wait of the other for a standstill.
func TestSlowPollOfOneInverterIsNotCalledAStandstillOfTheOther(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED, NOTHING IS SHOWN: hours of polls")
	}
	for _, faults := range []string{
		"slow=4900ms", "slow=4900ms refuse=5213-5241 refuse=5600-5638", "silent", "silent@0.5", "slow=4900ms stall@0.2", "off",
	} {
		for _, pollS := range []float64{5, 120} {
			dir := testhost.MemoryDir(t)
			synctest.Test(t, func(t *testing.T) {
				b := newPairBed(t, dir)
				b.pollS = pollS
				b.Faults(strings.Fields(faults)...)
				b.start()
				time.Sleep(20 * time.Second) // the first file
				for range 1200 {
					time.Sleep(time.Second)
					synctest.Wait()
					if _, err := report.Check(filepath.Join(dir, "health.json"), seconds(pollS), time.Now()); err != nil {
						t.Fatalf("%s every %v s: %v", faults, pollS, err)
					}
					if loop, _ := b.edges[0].Pulses.Stalled(); loop != "" {
						t.Fatalf("%s every %v s: the watchdog is told that %s stands still", faults, pollS, loop)
					}
				}
				b.end()
				b.Polite()
			})
		}
	}
}

// A disk that hangs under one inverter's spool is missed by the watchdog, and keeps the other from nothing.
func TestInverterThatHangsKeepsTheOtherFromNothing(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, dir)
		b.open()
		free := make(chan struct{})
		b.edges[1].Kept = func(wire.Sample) { <-free }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- runAll(ctx, b.edges) }()
		time.Sleep(time.Hour)
		if n := b.count(b.made, "roof"); n < 355 || n > 361 {
			t.Errorf("roof has %d samples after an hour, want 360", n)
		}
		if loop, _ := b.edges[0].Pulses.Stalled(); loop != "collect garage" {
			t.Errorf("the watchdog misses %q", loop)
		}
		close(free)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, e := range b.edges {
			e.Spool.Close()
		}
		b.Polite()
	})
}

// They end together: when one spool is lost the process ends, as it does with one inverter, and leaves the other whole.
func TestLostSpoolOfOneInverterEndsBoth(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, dir)
		b.start()
		time.Sleep(5 * time.Minute)
		path := b.edges[1].Spool.Path()
		other, err := bolt.Open(path+".other", 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(other.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("devices")); return err }), other.Close())
		foreign, err2 := os.ReadFile(path + ".other")
		file, err3 := os.OpenFile(path, os.O_WRONLY, 0)
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		_, err = file.WriteAt(foreign, 0) // another program takes the file for its own
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		if err := <-b.ended; !sameCode(err, "spool_foreign") {
			t.Error(err)
		}
		if b.edges[0].Spool.Waiting() != 0 {
			t.Errorf("%d samples of the other were not delivered", b.edges[0].Spool.Waiting())
		}
		for _, e := range b.edges {
			e.Spool.Close()
		}
		b.Polite()
	})
}

// An inverter that is not read because its spool is full leaves the connection to the other. When neither is read the
// dongle has none.
func TestFullSpoolOfOneInverterKeepsTheOtherFromNothing(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, dir)
		b.start()
		time.Sleep(time.Minute)
		limit := func(e *Edge, size int64) {
			if err := e.Spool.SetLimit(size); err != nil {
				t.Fatal(err)
			}
		}
		full, room := int64(format.AllocSize+1), int64(64<<20)
		limit(b.edges[1], full)
		time.Sleep(30 * time.Second)
		roof, garage := b.count(b.made, "roof"), b.count(b.made, "garage")
		time.Sleep(time.Hour)
		if r, g := b.count(b.made, "roof")-roof, b.count(b.made, "garage")-garage; r < 358 || r > 361 || g != 0 {
			t.Errorf("%d samples of roof in an hour, and %d of the one whose spool is full", r, g)
		}
		if a := b.Sim.Audit(); a.Connects != 1 {
			t.Errorf("%d connections", a.Connects)
		}
		limit(b.edges[0], full)
		time.Sleep(time.Minute)
		if a := b.Sim.Audit(); a.Open != 0 {
			t.Error("a connection for nothing")
		}
		limit(b.edges[0], room)
		limit(b.edges[1], room)
		roof, garage = b.count(b.made, "roof"), b.count(b.made, "garage")
		time.Sleep(5 * time.Minute)
		if r, g := b.count(b.made, "roof")-roof, b.count(b.made, "garage")-garage; r < 28 || g < 28 {
			t.Errorf("%d and %d samples in 5 min with room", r, g)
		}
		b.end()
		b.complete()
		b.Polite()
	})
}
