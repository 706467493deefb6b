package edge

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"sunspool/internal/testhost"
)

func TestIdentityOutlivesWhatHappensToASpool(t *testing.T) {
	roof := Identity{Serial: "A2212345678", Type: 0x0D18, Other: "A2299999999", Since: noon}
	barn := Identity{Serial: "A2187654321", Type: 0x2603}
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := drained(t, path, 3000, 10)
	for device, id := range map[string]Identity{"roof": roof, "barn": barn} {
		if err := s.SetIdentity(device, id); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string) {
		t.Helper()
		for device, want := range map[string]Identity{"roof": roof, "barn": barn, "attic": {}} {
			if got, err := s.Identity(device); err != nil || got != want {
				t.Errorf("%s: %s is %+v, %v", when, device, got, err)
			}
		}
	}
	reopen := func() {
		t.Helper()
		s.Close()
		s = openSpool(t, path)
	}
	check("at once")
	reopen()
	check("after a restart")
	if err := s.do(s.compact); err != nil {
		t.Fatal(err)
	}
	check("after a compaction")

	waiting := peek(t, s, 1)[0]
	record := waiting.encode()
	s.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, record)
	b[at+len(record)-3] ^= 4
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, path)
	if s.Opening().Aside == "" {
		t.Fatal("the spool was not salvaged: the test tests nothing")
	}
	check("after a salvage")
}

// A bit that flips in it does not make our own inverter another one.
func TestDamagedIdentityIsNone(t *testing.T) {
	s := openSpool(t, filepath.Join(testhost.MemoryDir(t), "spool.db"))
	if err := s.SetIdentity("roof", Identity{Serial: "A2212345678"}); err != nil {
		t.Fatal(err)
	}
	err := s.do(func() error {
		return s.commitAcks(func(tx *bolt.Tx) error {
			value := bytes.Clone(tx.Bucket(metaBucket).Get(identityKey("roof")))
			value[len(value)-4] ^= 1
			return tx.Bucket(metaBucket).Put(identityKey("roof"), value)
		})
	})
	if id, err2 := s.Identity("roof"); err != nil || err2 != nil || id != (Identity{}) {
		t.Errorf("%+v, %v, %v", id, err, err2)
	}
}

// Two dongles swap their addresses while the edge is off, a dongle is replaced while it runs: no sample gets into the
// series of another inverter, health names it, and the setting that it proposes ends it.
func TestSamplesOfAnotherInverterAreNotStored(t *testing.T) {
	for _, restart := range []bool{false, true} {
		dir := testhost.MemoryDir(t)
		synctest.Test(t, func(t *testing.T) {
			sim := ofImage(t, hybridImage)
			start := func(serial string) *Edge {
				e := edgeAt(t, dir, serial)
				e.Inverter.Dongle.Link.Dial = (&bed{t: t, sim: sim}).dial
				e.fillRing()
				return e
			}
			poll := func(e *Edge) error {
				if err := e.await(t.Context()); err != nil {
					t.Fatal(err)
				}
				err := e.poll(t.Context())
				e.inverter.Report(err)
				return err
			}
			e := start("")
			if err := poll(e); err != nil {
				t.Fatal(err)
			}
			sim = twinOf(t, hybridImage)
			if restart {
				e.Spool.Close()
				e = start("")
			} else {
				e.Inverter.Dongle.Link.Dial = (&bed{t: t, sim: sim}).dial
				e.Inverter.Dongle.Close()
			}
			for range 100 {
				if poll(e) == nil {
					t.Fatal("a sample of another inverter")
				}
			}
			state := e.Report.State()
			if state.Status != StateBlocked || state.Reasons[0] != "inverter_changed" || e.Spool.Waiting() != 1 {
				t.Errorf("%+v, %d samples", state, e.Spool.Waiting())
			}
			e.Spool.Close()
			_, serial, _ := strings.Cut(state.Next, "SUNGROW_SERIAL=")
			serial, _, _ = strings.Cut(serial, ";")
			e = start(serial)
			if err := poll(e); err != nil || e.Spool.Waiting() != 2 {
				t.Errorf("confirmed: %v, %d samples", err, e.Spool.Waiting())
			}
			if state := e.Report.State(); len(state.Reasons) > 0 {
				t.Errorf("%+v", state)
			}
			e.Inverter.Dongle.Close()
			e.Spool.Close()
		})
	}
}

// A dongle that repeats itself gets a new connection at once, and then with growing rests; polls go on meanwhile.
func TestFrozenDongleIsReconnectedWithGrowingRest(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		e := edgeAt(t, dir, "")
		sim := ofImage(t, hybridImage)
		e.Inverter.Dongle.Link.Dial = (&bed{t: t, sim: sim}).dial
		e.fillRing()
		polls := 0
		for start := time.Now(); time.Since(start) < 5*time.Hour; polls++ {
			if err := e.await(t.Context()); err != nil {
				t.Fatal(err)
			}
			e.poll(t.Context())
		}
		// At first, when it is noticed after 5 min, and 5, 15, 35, 75, 135, 195, 255 min later.
		a := sim.Audit()
		if a.Connects < 6 || a.Connects > 9 || a.Polls < polls-20 {
			t.Errorf("%d connections, %d polls of %d", a.Connects, a.Polls, polls)
		}
		e.Inverter.Dongle.Close()
		e.Spool.Close()
	})
}

func TestValidSerial(t *testing.T) {
	for s, ok := range map[string]bool{"": true, "A2212345678": true, "A22…678": true, "A22...678": true, "B12ab45": true,
		"A22 678": false, "\"A2212345678\"": false, "A2212345678A2212345678": false, "A..678": false} {
		if validSerial(s) != ok {
			t.Errorf("%q: valid %v", s, !ok)
		}
	}
}
