package api

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/history"
	"sunspool/vps/request"
	"sunspool/wire"
)

var exportDays = flag.Int("export-days", 5, "days of samples, 10 s apart, that a slow reader exports")

// exportFrom begins an export of raw samples on a connection of its own.
func exportFrom(t *testing.T, l *pipes, from time.Time, token string) (*http.Response, net.Conn) {
	t.Helper()
	conn := l.Dial()
	t.Cleanup(func() { conn.Close() })
	r, _ := http.NewRequest("GET", "http://x"+wire.ExportPath+"?device_id=inv-1&resolution=raw&from="+from.Format(time.RFC3339), nil)
	r.Header.Set("Authorization", "Bearer "+token)
	go r.Write(conn)
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 4096), r)
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(err, answer)
	}
	return answer, conn
}

// filled stores samples 10 s apart until now.
func (b *bench) filled(days int) (samples int) {
	b.t.Helper()
	first := b.Now().AddDate(0, 0, -days)
	var batch []wire.Sample
	for at := first; at.Before(b.Now()); at = at.Add(10 * time.Second) {
		s := sample(0)
		s.Time = at
		if batch = append(batch, s); len(batch) == 10_000 {
			b.put("inv-1", batch)
			batch = batch[:0]
		}
		samples++
	}
	b.put("inv-1", batch)
	return samples
}

// TestSlowExportArrivesWhole: 200 kB/s is a line of 1.6 Mbit/s. The time is the bubble's.
func TestSlowExportArrivesWhole(t *testing.T) {
	onAir(t, func(t *testing.T, b *bench, l *pipes, _ func() error) {
		samples, began := b.filled(*exportDays), time.Now()
		answer, _ := exportFrom(t, l, b.Now().AddDate(0, 0, -*exportDays), token1)
		const perSecond = 200_000
		lines, bytesRead, chunk := 0, 0, make([]byte, perSecond/10)
		for {
			n, err := io.ReadFull(answer.Body, chunk)
			bytesRead += n
			lines += bytes.Count(chunk[:n], []byte("\n"))
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				break
			}
			if err != nil {
				t.Fatalf("after %d lines of %d, in %v: %v", lines, samples, time.Since(began), err)
			}
			time.Sleep(time.Second / 10)
		}
		if lines != samples {
			t.Errorf("%d lines of %d samples", lines, samples)
		}
		if took := time.Since(began); took < 3*request.StoreTimeout {
			t.Errorf("the %d bytes took %v: too few to show anything", bytesRead, took)
		}
		if strings.Contains(b.metricsText(), `sunspool_exports_cut_total{reason="store"} 1`) {
			t.Error("it is counted as cut off")
		}
	})
}

func (b *bench) metricsText() string {
	return do(b.Internal(), "GET", wire.MetricsPath, "", nil).Body.String()
}

// TestCutExportIsLoggedAndCounted: its status was 200.
func TestCutExportIsLoggedAndCounted(t *testing.T) {
	for reason, cut := range map[string]func(b *bench, body io.Reader, conn net.Conn, stop func() error){
		"reader_left": func(_ *bench, _ io.Reader, conn net.Conn, _ func() error) { conn.Close() },
		"stalled":     func(*bench, io.Reader, net.Conn, func() error) { time.Sleep(history.ExportStall + time.Second) },
		"token_revoked": func(b *bench, body io.Reader, _ net.Conn, _ func() error) {
			b.Tokens.Replace(token1b+":inv-1", "")
			if _, err := io.Copy(io.Discard, body); err == nil {
				b.t.Error("the reader takes it for whole")
			}
		},
		"store": func(b *bench, body io.Reader, _ net.Conn, _ func() error) {
			b.bolt.Close()
			if _, err := io.Copy(io.Discard, body); err == nil {
				b.t.Error("the reader takes it for whole")
			}
		},
		"stopping": func(_ *bench, _ io.Reader, _ net.Conn, stop func() error) { stop() },
	} {
		t.Run(reason, func(t *testing.T) {
			onAir(t, func(t *testing.T, b *bench, l *pipes, stop func() error) {
				b.filled(1)
				answer, conn := exportFrom(t, l, b.Now().AddDate(0, 0, -1), token1)
				io.ReadFull(answer.Body, make([]byte, 1000))
				cut(b, answer.Body, conn, stop)
				synctest.Wait()
				if line := fmt.Sprintf(`sunspool_exports_cut_total{reason="%s"} 1`, reason); !strings.Contains(b.metricsText(), line) {
					t.Errorf("no %s in the metrics", line)
				}
				log := b.log.String()
				if n := strings.Count(log, "export cut off"); n != 1 || !strings.Contains(log, `"device":"inv-1","caller":"inv-1"`) || !strings.Contains(log, `"reason":"`+reason+`"`) ||
					strings.Contains(log, `"bytes_out":0`) || strings.Contains(log, "canary") {
					t.Errorf("%d lines: %s", n, log)
				}
			})
		})
	}
}
