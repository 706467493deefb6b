// Package compress makes whole answers smaller, for readers that ask for it.
//
//	Accept-Encoding ──> Accepted ──> Gzip: a writer of few ──> body, or nil: send it as it is
package compress

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// Worth is from how many bytes on an answer is compressed. Below, the headers weigh as much as what is saved.
const Worth = 1000

// How hard to try: what is asked for every few seconds is compressed quickly, pages are made small.
const (
	Fast  = gzip.BestSpeed
	Small = 6
)

// A writer has about a megabyte of tables. As many as there are processors can work at once; more would only occupy memory.
var (
	working = make(chan struct{}, runtime.GOMAXPROCS(0))
	writers [Small + 1]sync.Pool // by level
)

// Gzip returns body as gzip, or nil if it is to be sent as it is: it is short, it would not become smaller, or all processors
// compress already. So compression delays no answer behind others, whatever readers ask for.
func Gzip(body []byte, level int) []byte {
	if len(body) < Worth {
		return nil
	}
	select {
	case working <- struct{}{}:
		defer func() { <-working }()
	default:
		return nil
	}
	z, _ := writers[level].Get().(*gzip.Writer)
	if z == nil {
		z, _ = gzip.NewWriterLevel(nil, level)
	}
	defer writers[level].Put(z)
	var b bytes.Buffer
	z.Reset(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	if b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
}

// Serve answers r with what is kept as gzip: packed, or, to a client that does not take it, what plain returns.
func Serve(w http.ResponseWriter, r *http.Request, packed []byte, plain func() []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	body := packed
	if Accepted(r) {
		h.Set("Content-Encoding", "gzip")
	} else {
		body = plain()
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

// Unpacked returns what is in packed, which is a part of the program.
func Unpacked(packed []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(err)
	}
	all, err := io.ReadAll(z)
	if err != nil {
		panic(err)
	}
	return all
}

// Accepted reports whether r asks for gzip.
func Accepted(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			name, q, _ := strings.Cut(strings.TrimSpace(params), "=")
			weight, err := strconv.ParseFloat(q, 64)
			return !strings.EqualFold(name, "q") || err == nil && weight > 0
		}
	}
	return false
}
