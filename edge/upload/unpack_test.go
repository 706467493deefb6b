package upload

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"

	"sunspool/internal/race"
)

// An answer that unpacks to very much is read as far as one may be long.
func TestAnswerThatUnpacksToVeryMuchIsNotReadWhole(t *testing.T) {
	race.Skip(t, "one goroutine unpacks")
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(make([]byte, 50<<20))
	z.Close()
	a := &http.Response{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: io.NopCloser(&bomb)}
	if text, err := readAnswer(a); err != nil || len(text) > maxAnswer+1 {
		t.Errorf("50 MiB of nothing are unpacked to %d bytes, %v", len(text), err)
	}
}
