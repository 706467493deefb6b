package bolt

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// What of the file is mapped does not grow with what is read and written.
func TestMappedFileStaysSmall(t *testing.T) {
	b, err := Open(filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	program, most := mapped(), int64(0)
	values := map[string]float64{}
	for i := range 60 {
		values[fmt.Sprint("value_", i)] = float64(i) / 3
	}
	const rows, batches = 1000, 100
	for i := range batches {
		samples := make([]wire.Sample, rows)
		for k := range samples {
			samples[k] = storetest.At(storetest.Noon.Add(time.Duration(i*rows+k)*10*time.Second), float64(k))
			samples[k].Values = values
		}
		storetest.Insert(t, b, "a", rows, samples...)
		most = max(most, mapped())
	}
	n := 0
	err = b.Each(t.Context(), "a", storetest.Noon, storetest.Noon.Add(rows*batches*10*time.Second), func(wire.Sample) bool {
		if n++; n%1000 == 0 {
			most = max(most, mapped())
		}
		return true
	})
	if err != nil || n != rows*batches {
		t.Errorf("%d samples, %v", n, err)
	}
	if allowed := program + mostMapped + 16<<20; most > allowed {
		t.Errorf("%d MiB were mapped, %d before", most>>20, program>>20)
	}
	t.Logf("%d MiB before, %d at most", program>>20, most>>20)
}
