//go:build unix

package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sunspool/internal/testservices"
	"sunspool/vps/energy"
	"sunspool/vps/store/postgres/database"
	"sunspool/vps/store/storetest"
	"sunspool/wire"
)

// BenchmarkPostgresInsert compares with the least that could be done: the same rows inserted by one statement of pgx
// alone, into a table of the same columns without rollups, turn by turn in the same run, durable both.
func BenchmarkPostgresInsert(b *testing.B) {
	pg := testservices.Postgres(b)
	for _, rows := range []int{30, 1000} {
		for _, writers := range []int{1, 4} {
			b.Run(fmt.Sprintf("rows=%d/writers=%d", rows, writers), func(b *testing.B) {
				tested, err := Open(Options{URL: pg.NewDatabase(b)})
				if err != nil {
					b.Fatal(err)
				}
				defer tested.Close()
				bare := barePool(b, pg.NewDatabase(b))
				ours := func(device string, samples []wire.Sample) error {
					_, err := tested.Insert(b.Context(), device, samples)
					return err
				}
				floor := func(device string, samples []wire.Sample) error {
					w, err := newInsertion(device, samples)
					if err != nil {
						return err
					}
					_, err = bare.Exec(b.Context(), insertSamples+` on conflict do nothing`, bareArgs(w.rows)...)
					return err
				}
				spent := map[string]time.Duration{}
				i := 0
				for b.Loop() {
					for name, insert := range map[string]func(string, []wire.Sample) error{"ours": ours, "floor": floor} {
						start := time.Now()
						var g sync.WaitGroup
						for w := range writers {
							g.Go(func() {
								for n := range 8 {
									if err := insert(fmt.Sprint("device-", w), storetest.Houses(storetest.Noon, 5*time.Second, i+n*rows, rows)); err != nil {
										b.Error(err)
									}
								}
							})
						}
						g.Wait()
						spent[name] += time.Since(start)
					}
					i += 8 * rows
				}
				b.ReportMetric(float64(i*writers)/spent["ours"].Seconds(), "rows/s")
				b.ReportMetric(100*spent["floor"].Seconds()/spent["ours"].Seconds(), "%-of-bare-insert")
			})
		}
	}
}

// bareArgs are rowArgs of types that pgx knows.
func bareArgs(rows []sampleRow) []any {
	args := rowArgs(rows)
	for i, arg := range args {
		if column, ok := arg.(database.Floats); ok {
			values := make([]*float64, column.N)
			for i := range values {
				values[i] = column.At(i)
			}
			args[i] = values
		}
	}
	return args
}

// barePool has a table with the columns of samples in a database of its own.
func barePool(b *testing.B, url string) *pgxpool.Pool {
	p, err := pgxpool.New(context.Background(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.Close)
	if err := Migrate(b.Context(), url, quiet); err != nil {
		b.Fatal(err)
	}
	for _, device := range []string{"a", "device-0", "device-1", "device-2", "device-3"} { // whose rows the insert reads
		if _, err := p.Exec(b.Context(), addDevice, device, energy.PackVersion); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// BenchmarkPostgresRepeatedInsert sends again what is stored: the edge after a lost answer.
func BenchmarkPostgresRepeatedInsert(b *testing.B) {
	pg := testservices.Postgres(b)
	tested, err := Open(Options{URL: pg.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer tested.Close()
	bare := barePool(b, pg.NewDatabase(b))
	samples := storetest.Houses(storetest.Noon, 5*time.Second, 0, 1000)
	w, err := newInsertion("a", samples)
	if err != nil {
		b.Fatal(err)
	}
	var ours, floor time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := tested.Insert(b.Context(), "a", samples); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(start)
		start = time.Now()
		if _, err := bare.Exec(b.Context(), insertSamples+` on conflict do nothing`, bareArgs(w.rows)...); err != nil {
			b.Fatal(err)
		}
		floor += time.Since(start)
	}
	b.ReportMetric(float64(b.N*len(samples))/ours.Seconds(), "rows/s")
	b.ReportMetric(100*floor.Seconds()/ours.Seconds(), "%-of-bare-insert")
}

// BenchmarkPostgresNeighbour inserts a sample of one device while another one sends late samples into many spans that are
// full, on six connections. The ratio is to the same insert without that.
func BenchmarkPostgresNeighbour(b *testing.B) {
	for _, spans := range []int{1, 90} {
		b.Run(fmt.Sprintf("spans=%d", spans), func(b *testing.B) {
			p, err := Open(Options{URL: testservices.Postgres(b).NewDatabase(b), Log: quiet})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { p.Close() })
			storetest.Neighbour(b, p, spans)
		})
	}
}
