package edge

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/testhost"
	"sunspool/settings"
)

// Copies of what was delivered cost a memory card at most a tenth more bytes per sample: of six hours, in which each of their files
// is begun once, and by what reaches the device. The hours are virtual, so the timer of the filesystem's journal is stopped:
// what the edge writes anyway is less than in life, and the copies are more beside it.
func TestCopiesCostACardLittle(t *testing.T) {
	race.Skip(t, "the disk is measured")
	t.Parallel() // it waits for a disk most of the time
	if testing.Short() {
		t.Skip("thousands of polls")
	}
	const (
		span      = 6 * time.Hour
		writeback = 30 * time.Second // after which Linux writes what nobody has synced
	)
	cost := func(keepDays int) (kb float64) {
		d, memory := testhost.NewExt4(t, 128, 4096, "commit=3600"), t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			b := newPairBed(t, d.Dir)
			c := b.settings()
			c.Units, c.DeviceID, c.Token = "1", "roof", settings.Secret("roof-0123456789abcdef")
			c.HealthPath, c.KeepDays = filepath.Join(memory, "health.json"), keepDays
			b.startWith(c)
			time.Sleep(2*time.Minute + 2500*time.Millisecond)
			synctest.Wait()
			polls := b.polls()
			bytes, _ := d.Traffic(t)
			after := bytes
			for range span / writeback {
				time.Sleep(writeback)
				synctest.Wait()
				after, _ = d.Traffic(t) // which writes all there is
			}
			if polls = b.polls() - polls; polls < int64(span/(6*time.Second)) {
				t.Errorf("%d polls in %v", polls, span)
			}
			kb = float64(after-bytes) / 1000 / float64(max(polls, 1))
			kept := int64(0)
			for _, e := range b.edges {
				if e.Uploader.Copies != nil {
					kept += e.Uploader.Copies.Samples.Load()
				}
			}
			if least := polls * 9 / 10; keepDays > 0 && kept < least {
				t.Errorf("%d samples are kept of %d", kept, polls)
			}
			b.end()
			b.complete()
		})
		return kb
	}
	none, kept := cost(0), cost(7)
	t.Logf("%.2f kB per sample without copies, %.2f with them: %+.1f %%", none, kept, 100*(kept/none-1))
	if none <= 0 || kept > 1.1*none || kept <= none {
		t.Error("copies cost more than a tenth, or nothing was measured")
	}
}
