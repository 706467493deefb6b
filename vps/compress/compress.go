// Package compress makes whole answers smaller, for readers that ask for it.
//
//	Accept-Encoding ──> Accepted ──> Gzip: a writer of few ──> body, or nil: send it as it is
package compress

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// Worth is from how many bytes on an answer is compressed. Below, the headers weigh as much as what is saved.
const Worth = 1000

// A writer has about a megabyte of tables. As many as there are processors can work at once; more would only occupy memory.
var (
	working = make(chan struct{}, runtime.GOMAXPROCS(0))
	writers = sync.Pool{New: func() any {
		z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed)
		return z
	}}
)

// Gzip returns body as gzip, or nil if it is to be sent as it is: it is short, it would not become smaller, or all processors
// compress already. So compression delays no answer behind others, whatever readers ask for.
func Gzip(body []byte) []byte {
	if len(body) < Worth {
		return nil
	}
	select {
	case working <- struct{}{}:
		defer func() { <-working }()
	default:
		return nil
	}
	var b bytes.Buffer
	z := writers.Get().(*gzip.Writer)
	defer writers.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	if b.Len() >= len(body) {
		return nil
	}
	return b.Bytes()
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
