package spool

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"sunspool/internal/testhost"
)

// BenchmarkSpoolWear counts what a sample costs a memory card: bytes and flushes that reach the device of an ext4, its
// journal included, against the least that is possible, which is to append the record to a file and fdatasync. While
// the server is up a batch of two samples is settled every other poll, and that is part of the price.
func BenchmarkSpoolWear(b *testing.B) {
	const n = 3000
	for _, c := range []struct {
		server  string
		group   int
		backlog int
	}{{"up", 1, 0}, {"away", 1, 0}, {"away", 1, 100_000}, {"up", 10, 0}, {"away", 10, 0}} {
		b.Run(fmt.Sprintf("server=%s/group=%d/backlog=%d", c.server, c.group, c.backlog), func(b *testing.B) {
			d := testhost.Ext4(b, 128)
			var ours, floor testhost.Toll
			for b.Loop() {
				floor = d.Toll(b, n, func() { appendAndSync(b, d.Dir, n, c.group) })
				path := filepath.Join(d.Dir, "spool.db")
				os.Remove(path)
				s, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				for done := 0; done < c.backlog; done += 1000 {
					appendGroup(b, s, done, 1000)
				}
				seq := uint64(0)
				ours = d.Toll(b, n, func() {
					for i := 0; i < n; i += c.group {
						appendGroup(b, s, c.backlog+i, c.group)
						if c.server == "up" && (i+c.group)%max(2, c.group) == 0 {
							var stored []uint64
							for range max(2, c.group) {
								seq++
								stored = append(stored, seq)
							}
							if err := s.Settle(stored, nil); err != nil {
								b.Fatal(err)
							}
						}
					}
				})
				s.Close()
			}
			b.ReportMetric(ours.KB, "device-kB/sample")
			b.ReportMetric(ours.Flushes, "flushes/sample")
			b.ReportMetric(ours.KB/floor.KB, "x-append-bytes")
			b.ReportMetric(ours.Flushes/floor.Flushes, "x-append-flushes")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// appendAndSync is the baseline: records of the same size at the end of a file that grows.
func appendAndSync(t testing.TB, dir string, n, group int) {
	f, err := os.Create(filepath.Join(dir, "baseline"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	record := (&Record{Seq: 1, Sample: sampleAt(noon)}).Encode()
	for range n / group {
		for range group {
			if _, err := f.Write(record); err != nil {
				t.Fatal(err)
			}
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			t.Fatal(err)
		}
	}
}
