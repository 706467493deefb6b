package api

import (
	"bufio"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sunspool/wire"
)

// A long answer is compressed for those who ask for it, and is the same bytes when it is unpacked.
func TestLongAnswersAreCompressedForThoseWhoAsk(t *testing.T) {
	b := newBench(t)
	for i := range 500 {
		b.put("inv-1", []wire.Sample{sample(-time.Duration(i) * 5 * time.Minute)})
	}
	for name, target := range map[string]string{
		"energy": "/v1/energy?device_id=inv-1&resolution=hour&from=2026-06-20&to=2026-06-21",
		"series": "/v1/series?device_id=inv-1&resolution=5m&from=2026-06-20&to=2026-06-21", // more than RowsAtOnce
	} {
		plain := b.get(target, viewer1)
		if plain.Code != 200 || plain.Body.Len() < 2000 || plain.Header().Get("Content-Encoding") != "" || plain.Header().Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%s: %d, %d bytes, %v", name, plain.Code, plain.Body.Len(), plain.Header())
		}
		w := do(b.api, "GET", target, viewer1, nil, "Accept-Encoding", "br, gzip")
		if w.Code != 200 || w.Header().Get("Content-Encoding") != "gzip" || w.Header().Get("Vary") != "Accept-Encoding" ||
			w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) || w.Body.Len() >= plain.Body.Len()/2 {
			t.Fatalf("%s: %d, %d bytes, %v", name, w.Code, w.Body.Len(), w.Header())
		}
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(z); err != nil || string(got) != plain.Body.String() {
			t.Errorf("%s: %v, %.200s", name, err, got)
		}
		head := do(b.api, "HEAD", target, viewer1, nil, "Accept-Encoding", "gzip")
		if head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("Content-Length") != "" || head.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: HEAD %d, %d bytes, %v", name, head.Code, head.Body.Len(), head.Header())
		}
	}
	if b.Reads.Taken()+b.Large.Taken()+b.Reading.Taken() != 0 {
		t.Error("a slot is lost")
	}
}

// What is short, what is no GET, and what is written as it comes stays as it is.
func TestOtherAnswersAreNotCompressed(t *testing.T) {
	b := newBench(t)
	b.put("inv-1", []wire.Sample{sample(0)})
	body := `{"samples":[` + strings.Repeat(`{},`, 200) + `{}]}`
	for name, w := range map[string]*httptest.ResponseRecorder{
		"short":  do(b.api, "GET", "/v1/session", viewer1, nil, "Accept-Encoding", "gzip"),
		"upload": do(b.api, "POST", wire.IngestPath, token1, strings.NewReader(body), "Accept-Encoding", "gzip"),
		"export": do(b.api, "GET", "/v1/export.csv?device_id=inv-1&resolution=5m&from=2026-06-01&to=2026-06-21", viewer1, nil, "Accept-Encoding", "gzip"),
	} {
		if w.Header().Get("Content-Encoding") != "" || slices.Contains(w.Header().Values("Vary"), "Accept-Encoding") || w.Body.Len() == 0 {
			t.Errorf("%s: %d, %d bytes, %v", name, w.Code, w.Body.Len(), w.Header())
		}
	}
}

// An event reaches a reader who accepts gzip while its stream is open.
func TestStreamIsNotCompressed(t *testing.T) {
	b := newBench(t)
	server := httptest.NewServer(b.api)
	defer server.Close()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+wire.StreamPath+"?device_id=inv-1", nil)
	r.Header.Set("Authorization", "Bearer "+viewer1)
	r.Header.Set("Accept-Encoding", "gzip")
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	if err != nil || answer.Header.Get("Content-Encoding") != "" || !strings.Contains(line, ":") {
		t.Errorf("%q, %v, %v", line, err, answer.Header)
	}
}
