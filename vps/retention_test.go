package vps

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// A year of samples goes by itself once a retention is set; a day of the year still says what it said.
func TestOldSamplesGoAndTheirDaysStay(t *testing.T) {
	b := newBench(t)
	now := time.Now().UTC()
	var all []wire.Sample
	for i := range 400 * 24 {
		all = append(all, wire.Sample{Time: now.Add(-time.Duration(i) * time.Hour), PVPowerW: 1000, Count: 1})
	}
	if n, err := b.bolt.Insert(t.Context(), "inv-1", all); n != len(all) || err != nil {
		t.Fatal(n, err)
	}
	days := func() (rows int64) {
		periods, err := b.bolt.Periods(t.Context(), store.Query{Device: "inv-1", Resolution: store.Day})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range periods {
			rows += p.Rows
		}
		return rows
	}
	deleted, err := prune(t.Context(), b.bolt, now.Add(-30*24*time.Hour))
	if err != nil || deleted < 369*24 || deleted > 370*24+24 {
		t.Errorf("%d of %d samples deleted, %v", deleted, len(all), err)
	}
	if got := days(); got != int64(len(all)) {
		t.Errorf("the days count %d samples, want %d", got, len(all))
	}
	if deleted, err = prune(t.Context(), b.bolt, now.Add(-30*24*time.Hour)); deleted != 0 || err != nil {
		t.Errorf("again: %d deleted, %v", deleted, err)
	}
}

// pruner counts, and fails the first time.
type pruner struct {
	store.Samples
	calls int
}

func (p *pruner) Prune(context.Context, time.Time) (int64, error) {
	if p.calls++; p.calls == 1 {
		return 0, store.ErrUnavailable
	}
	return 0, nil
}

func TestRetentionOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &pruner{}
		done := make(chan struct{})
		go func() { retain(ctx, p, time.Hour, slog.New(slog.DiscardHandler)); close(done) }()
		time.Sleep(3*retainEvery + time.Minute)
		cancel()
		<-done
		if p.calls != 4 {
			t.Errorf("%d calls in three hours, want 4", p.calls)
		}
	})
}

// The setting reaches the store: what is older is gone when the service has run for a moment, the rest is there.
func TestRunDeletesWhatIsOlderThanTheSetting(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vps.db")
	disk, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	var all []wire.Sample
	for days := range 20 {
		all = append(all, wire.Sample{Time: now.AddDate(0, 0, -days), PVPowerW: 1, Count: 1})
	}
	if n, err := disk.Insert(t.Context(), "inv-1", all); n != len(all) || err != nil {
		t.Fatal(n, err)
	}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done, log := make(chan error, 1), new(logBuffer)
	cfg := Config{DataDir: dir, ListenAddr: "127.0.0.1:0", DeviceTokens: token1 + ":inv-1", RawRetentionDays: 10}
	go func() { done <- Run(ctx, cfg, slog.New(slog.NewJSONHandler(log, nil))) }()
	for began := time.Now(); !strings.Contains(log.String(), "old samples deleted"); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 3*time.Minute {
			t.Error("nothing was deleted")
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if disk, err = bolt.Open(path); err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	left := 0
	disk.Each(t.Context(), "inv-1", time.Time{}, time.Time{}, func(wire.Sample) bool { left++; return true })
	if left < 10 || left > 11 {
		t.Errorf("%d samples are left of 20 days, want those of 10", left)
	}
}
