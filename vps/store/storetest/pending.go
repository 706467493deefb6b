package storetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sunspool/vps/store"
)

// What is pending is right wherever it is asked for, and what changes it, deletes what it is computed from, or computes it
// leaves what was stored. makePending makes all rollups pending; left returns how many are.
func Pending(t *testing.T, s store.Samples, makePending func(), left func() int) {
	all := Random(rand.New(rand.NewPCG(53, 54)), Noon, 30*time.Hour, 3000)
	Fill(t, s, "a", all[:2990])
	Fill(t, s, "b", all[:100])
	q := store.Query{Device: "a", From: Noon.Add(11 * time.Hour), To: Noon.Add(12 * time.Hour), Resolution: store.FiveMinutes}
	was, around, err := s.Surrounded(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	devices, err := s.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	makePending()
	if settled(t, s, "a", all[0].Time, all[2989].Time) {
		t.Error("rollups that are pending have digests: they change without a sample")
	}
	if got, err := s.Devices(t.Context()); err != nil || fmt.Sprint(got) != fmt.Sprint(devices) {
		t.Errorf("devices %v, %v; were %v", got, err, devices)
	}
	makePending()
	if is, now, err := s.Surrounded(t.Context(), q); err != nil || len(is) != len(was) ||
		string(now.Before.Append(nil)) != string(around.Before.Append(nil)) || string(now.After.Append(nil)) != string(around.After.Append(nil)) {
		t.Errorf("%d periods, %v; were %d", len(is), err, len(was))
	}
	makePending()
	Insert(t, s, "a", 10, all[2990:]...) // the latest, each in five minutes that are pending
	IsRecount(t, s, "a", all)
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		IsRecount(t, s, "b", all[:100])
		if left() == 0 {
			break
		}
		if time.Since(began) > 3*time.Minute { // far longer than any machine needs
			t.Fatal("what was asked for is not computed")
		}
	}
	IsRecount(t, s, "a", all)
	if !settled(t, s, "a", all[0].Time, all[2989].Time) {
		t.Error("rollups that are computed have no digests")
	}

	q = store.Query{Device: "a", Resolution: store.FiveMinutes, Zone: time.UTC}
	before, err := s.Periods(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	makePending()
	for n := int64(1); n > 0; {
		if n, err = s.Prune(t.Context(), Noon.Add(10*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	Insert(t, s, "a", 0, all[:50]...)
	after, err := s.Periods(t.Context(), q)
	if err != nil || len(after) != len(before) {
		t.Fatalf("%d periods, %v; were %d", len(after), err, len(before))
	}
	for i := range after {
		if d := RollupDifference(&after[i].Rollup, &before[i].Rollup); d != "" {
			t.Fatalf("pruning changed period %d: %s", i, d)
		}
	}
}
