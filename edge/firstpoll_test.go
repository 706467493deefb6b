package edge

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// Whatever an earlier process could not write down, the dongle has its rest.
func TestFirstPollLeavesTheDongleItsRest(t *testing.T) {
	dir := t.TempDir()
	for name, prepare := range map[string]func(file string){
		"no file":                         func(string) {},
		"a file of another boot":          func(file string) { os.WriteFile(file, []byte("another"), 0o600) },
		"a file that a full disk cut":     func(file string) { os.WriteFile(file, nil, 0o600) },
		"an old file, not written lately": func(file string) { (&Pace{File: file, BootID: "b", Up: sinceNoon(-time.Hour)}).Touch() },
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, interval := range []time.Duration{5 * time.Second, time.Minute} {
				file := filepath.Join(dir, "last-poll")
				os.Remove(file)
				prepare(file)
				p := &Pace{Interval: interval, File: file, BootID: "b", Up: sinceNoon(0)}
				began := time.Now()
				p.restFirst()
				p.Wait(t.Context())
				if waited := time.Since(began); waited < restTime || waited > restTime+time.Second && interval == restTime {
					t.Errorf("%s, every %v: the first poll after %v", name, interval, waited)
				}
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // what is known is not waited for twice
		file := filepath.Join(dir, "last-poll")
		os.Remove(file)
		(&Pace{Interval: restTime, File: file, BootID: "b", Up: sinceNoon(-2*time.Second + 1)}).Touch()
		p := &Pace{Interval: restTime, File: file, BootID: "b", Up: sinceNoon(0)}
		began := time.Now()
		p.restFirst()
		p.Wait(t.Context())
		if waited := time.Since(began); waited < 3*time.Second || waited > 4*time.Second {
			t.Errorf("the first poll is %v after the start, and the last one was 2 s before it", waited)
		}
	})
}

// sinceNoon is the uptime of a host that was started five hours before, and off.
func sinceNoon(off time.Duration) func() time.Duration {
	return func() time.Duration { return 5*time.Hour + off }
}
