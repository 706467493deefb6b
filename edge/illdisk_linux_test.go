package edge

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/clock"
	"sunspool/edge/inverter"
	"sunspool/edge/report"
	"sunspool/internal/testhost"
)

// illDisks are disks that take no spool at the start, and how each is made well.
var illDisks = map[string]struct {
	code string
	make func(t *testing.T) (dir string, mend func())
}{
	"ext4 mounted read-only": {"disk_readonly", func(t *testing.T) (string, func()) {
		d := testhost.Ext4(t, 64)
		testhost.Must(t, "mount", "-o", "remount,ro", d.Dir)
		return d.Dir, func() { testhost.Must(t, "mount", "-o", "remount,rw", d.Dir) }
	}},
	"ext4 mounted read-only, with a spool": {"disk_readonly", func(t *testing.T) (string, func()) {
		d := testhost.Ext4(t, 64)
		for _, name := range []string{"spool.db", "garage.db"} {
			s := openSpool(t, filepath.Join(d.Dir, name))
			s.Join("a boot of last year", time.Hour)
			s.Close()
		}
		testhost.Must(t, "mount", "-o", "remount,ro", d.Dir)
		return d.Dir, func() { testhost.Must(t, "mount", "-o", "remount,rw", d.Dir) }
	}},
	"tmpfs that is full": {"disk_full", func(t *testing.T) (string, func()) {
		d := testhost.Tmpfs(t, 48)
		return d.Dir, d.Fill(t)
	}},
	"ext4 that is full": {"disk_full", func(t *testing.T) (string, func()) {
		d := testhost.Ext4(t, 64)
		return d.Dir, d.Fill(t)
	}},
}

// A disk that is ill at the start is waited for while the inverters are polled. When it is well, all that was read is in
// the spool, with its time, and goes to the server, once.
func TestDiskThatIsIllAtTheStartLosesNothing(t *testing.T) {
	for name, ill := range illDisks {
		for _, trust := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				dir, mend := ill.make(t)
				synctest.Test(t, func(t *testing.T) {
					b := newPairBed(t, dir)
					b.open()
					for _, e := range b.edges {
						e.Clock.Trust = trust
						e.Clock.Host = clock.Host{Wall: time.Now, Up: e.Pace.Up, Synced: func() (bool, error) { return true, nil }, BootID: "this boot"}
					}
					began := time.Now()
					b.run()
					time.Sleep(10*time.Minute + 3*time.Second)
					for _, e := range b.edges {
						if h := e.Report.Now(); h.Status == report.StateOK || h.Reason != ill.code || h.RAMOnly < 55 || len(h.Lost) > 0 {
							t.Errorf("%s is %s for %q: %s; %d in memory", h.DeviceID, h.Status, h.Reasons, h.Sentence, h.RAMOnly)
						}
						if e.Spool.Failure() != nil {
							t.Error(e.Spool.Failure())
						}
					}
					mend()
					time.Sleep(time.Minute)
					for _, e := range b.edges {
						if h := e.Report.Now(); h.Status != report.StateOK || h.RAMOnly > 0 {
							t.Errorf("the disk is well, and %s is %s: %s; %d in memory", h.DeviceID, h.Status, h.Sentence, h.RAMOnly)
						}
						if n := b.count(b.made, e.DeviceID); n < 64 {
							t.Errorf("%s has %d samples of 11 min", e.DeviceID, n)
						}
						b.mu.Lock()
						for i, at := range slices.SortedFunc(maps.Keys(b.stored[e.DeviceID]), time.Time.Compare) {
							if off := at.Sub(began) - time.Duration(i)*10*time.Second; off < 0 || off > 15*time.Second {
								t.Fatalf("%s: sample %d is of %v, %v after the start", e.DeviceID, i, at, at.Sub(began))
							}
						}
						b.mu.Unlock()
					}
					b.end()
					b.complete()
					b.Polite()
				})
			})
		}
	}
}

// What another inverter gave while the spool could not tell which one belongs to it is not stored under its name.
func TestOtherInverterWhileTheDiskIsReadOnlyIsNotStored(t *testing.T) {
	d := testhost.Ext4(t, 64)
	path := filepath.Join(d.Dir, "spool.db")
	s := openSpool(t, path)
	known := inverter.Identity{Serial: "A2212345678", Type: 0x0D18}
	if err := keepIdentity(s, "roof", known); err != nil {
		t.Fatal(err)
	}
	s.Close()
	testhost.Must(t, "mount", "-o", "remount,ro", d.Dir)
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, d.Dir)
		b.open()
		b.run()
		time.Sleep(5 * time.Minute)
		roof := b.edges[0]
		if n := roof.buffer.Len(); n < 25 {
			t.Fatalf("%d samples in memory", n)
		}
		testhost.Must(t, "mount", "-o", "remount,rw", d.Dir)
		time.Sleep(5 * time.Minute)
		if n := b.count(b.made, "roof"); n > 0 {
			t.Errorf("%d samples of another inverter were stored", n)
		}
		h := roof.Report.Now()
		if h.Reason != "inverter_changed" || h.Lost["inverter_changed"] < 25 || h.Status != report.StateBlocked {
			t.Errorf("%s, lost %v: %s", h.Status, h.Lost, h.Sentence)
		}
		if id, err := keptIdentity(roof.Spool, "roof"); id.Serial != known.Serial || err != nil {
			t.Errorf("the spool's inverter became %+v, %v", id, err)
		}
		if n := b.count(b.stored, "garage"); n < 50 {
			t.Errorf("%d samples of the other one are on the server", n)
		}
		b.end()
	})
}
