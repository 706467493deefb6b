//go:build unix

package storecopy

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sunspool/internal/testservices"
	"sunspool/vps/store/storetest"
)

var copyDays = flag.Int("copy-days", 1, "days of a device, a sample each 10 s with 50 registers, that TestCopyOfAYear copies both ways")

// A device's year is copied to PostgreSQL and back in minutes, in memory that does not grow with it.
func TestCopyOfAYear(t *testing.T) {
	text, err := os.ReadFile("../../wire/names.txt")
	if err != nil {
		t.Fatal(err)
	}
	registers := strings.Fields(string(text))[:50]
	from, days := t.TempDir(), *copyDays
	change(t, from, func(s whole) {
		for i, n := 0, days*8640; i < n; i += 1000 {
			some := storetest.Houses(day1, 10*time.Second, i, min(1000, n-i))
			for j := range some {
				some[j].Values = map[string]float64{}
				for k, name := range registers {
					some[j].Values[name] = float64((i+j*7+k*13)%4000) / 10
				}
			}
			if _, err := s.Insert(t.Context(), "a", some); err != nil {
				t.Fatal(err)
			}
		}
	})
	database, back := testservices.SharedPostgres(t).NewDatabase(t), filepath.Join(t.TempDir(), "back")
	for _, c := range []Config{{From: from, To: database}, {From: database, To: back}, {From: from, To: back, Compare: true}} {
		heap, began := watchHeap(), time.Now()
		var out bytes.Buffer
		if err := Run(t.Context(), c, "", &out, &out); err != nil {
			t.Fatal(err)
		}
		most := heap()
		t.Logf("%s\n%v in all, at most %d MiB of heap", &out, time.Since(began).Round(time.Millisecond), most>>20)
		if most > 128<<20 {
			t.Errorf("%d MiB of heap", most>>20)
		}
	}
}

// watchHeap returns what returns the most bytes that were in use.
func watchHeap() func() uint64 {
	stop, result := make(chan struct{}), make(chan uint64)
	go func() {
		most := uint64(0)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				result <- most
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() uint64 { close(stop); return <-result }
}
