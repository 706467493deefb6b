package energy

import "testing"

// TestPendingIsNoRollup to a program that knows rollups alone, nor is a rollup pending; it comes back as it was.
func TestPendingIsNoRollup(t *testing.T) {
	want := Pending{Rows: 3000, First: 1_780_000_000_123, Last: 1_780_000_299_999}
	packed := want.Append([]byte{})
	if got, ok := ReadPending(packed); !ok || got != want {
		t.Errorf("%+v, %v; want %+v", got, ok, want)
	}
	var r Rollup
	if r.Read(packed) || r.ReadPowers(packed) {
		t.Errorf("it is read as %+v", r)
	}
	for n := range packed {
		if p, ok := ReadPending(packed[:n]); ok {
			t.Errorf("%d bytes of it are %+v", n, p)
		}
	}
	for _, s := range minutely(100, 100.1) {
		r.Add(&s)
	}
	if p, ok := ReadPending(r.Append(nil)); ok || r.Pending() != (Pending{r.Rows, r.First, r.Last}) {
		t.Errorf("a rollup is taken for %+v", p)
	}
}

// TestPendingAddsUp in any order.
func TestPendingAddsUp(t *testing.T) {
	for _, parts := range [][]Pending{{{}, {2, 5, 9}, {1, 3, 3}}, {{1, 3, 3}, {}, {2, 5, 9}}, {{2, 5, 9}, {1, 3, 3}, {}}} {
		var sum Pending
		for _, p := range parts {
			sum.Add(p)
		}
		if sum != (Pending{3, 3, 9}) {
			t.Errorf("%+v add up to %+v", parts, sum)
		}
	}
}
