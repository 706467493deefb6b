package bolt

import (
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// TestScatteredWriteIsManyTransactions: a thousand samples on hundreds of pages are stored in parts, so that what another
// device sends meanwhile waits for one part; the caller is told the sum. Samples that follow each other are on few pages,
// so one transaction is enough.
func TestScatteredWriteIsManyTransactions(t *testing.T) {
	b := open(t, t.TempDir())
	start := time.UnixMilli(1_760_000_000_000)
	every := func(apart, from time.Duration, n int) (samples []wire.Sample) {
		for i := range n {
			samples = append(samples, storetest.At(start.Add(from+time.Duration(i)*apart), 1))
		}
		return samples
	}
	for i := range 100 { // two seconds apart
		storetest.Insert(t, b, "a", 1000, every(2*time.Second, time.Duration(i)*2000*time.Second, 1000)...)
	}
	transactions := func() (n int) {
		b.view(t.Context(), func(tx *bbolt.Tx) error { n = tx.ID(); return nil })
		return n
	}

	before := transactions()
	scattered := every(200*time.Second, time.Second, 1000)
	storetest.Insert(t, b, "a", 1000, scattered...)
	if n := transactions() - before; n < 3 {
		t.Errorf("samples on hundreds of pages are stored in %d transactions", n)
	}
	storetest.Insert(t, b, "a", 0, scattered...)

	before = transactions()
	storetest.Insert(t, b, "a", 1000, every(2*time.Second, 200_000*time.Second, 1000)...)
	if n := transactions() - before; n != 1 {
		t.Errorf("samples that follow each other are stored in %d transactions, not in one", n)
	}
	if n := storetest.Rows(t, b, store.FiveMinutes); n != 102_000 {
		t.Errorf("%d samples are counted, not 102000", n)
	}
}

// TestScatteredWritesShareTheWriter: many at a time, of one device and of several, each sample stored once and each
// caller told how many of its own are.
func TestScatteredWritesShareTheWriter(t *testing.T) {
	b := open(t, t.TempDir())
	start := time.UnixMilli(1_760_000_000_000)
	const callers, each = 8, 900
	results := make(chan error, 2*callers)
	var inserted [2 * callers]int
	for caller := range 2 * callers {
		device := []string{"a", "barn"}[caller%2]
		var samples []wire.Sample
		for i := range each { // a millisecond beside those of the others
			samples = append(samples, storetest.At(start.Add(time.Duration(i)*time.Hour+time.Duration(caller)*time.Millisecond), 1))
		}
		go func() {
			n, err := b.Insert(t.Context(), device, samples)
			inserted[caller] = n
			results <- err
		}()
	}
	for range 2 * callers {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	for caller, n := range inserted {
		if n != each {
			t.Errorf("caller %d was told that %d of its %d samples are new", caller, n, each)
		}
	}
	for _, device := range []string{"a", "barn"} {
		n := 0
		for _, p := range storetest.Series(t, b, store.Query{Device: device, From: start, To: start.Add(each * time.Hour), Resolution: store.Hour}) {
			n += p.SampleCount
		}
		if n != callers*each {
			t.Errorf("%s has %d samples, not %d", device, n, callers*each)
		}
	}
}
