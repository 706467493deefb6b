package store

import (
	"testing"
	"time"
)

func BenchmarkPeriod(b *testing.B) {
	zone, err := time.LoadLocation("Europe/Brussels")
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 6, 21, 10, 30, 0, 0, time.UTC)
	for _, r := range []Resolution{Hour, Day, Year} {
		b.Run(string(r), func(b *testing.B) {
			for b.Loop() {
				r.Period(at, zone)
			}
		})
	}
}
