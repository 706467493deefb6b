package compress

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestGzipKeepsEveryByte(t *testing.T) {
	for _, size := range []int{Worth, 5000, 1 << 20} {
		body := []byte(strings.Repeat(`{"pv_kwh":1.5},`, size/15+1))
		for _, level := range []int{Fast, Fast, Small, Small} { // a writer is used again
			z, err := gzip.NewReader(bytes.NewReader(Gzip(body, level)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d bytes became %d, %v", len(body), len(got), err)
			}
		}
	}
}

func TestWhatDoesNotShrinkIsSentAsItIs(t *testing.T) {
	noise := make([]byte, 5000)
	_, _ = rand.Read(noise)
	if Gzip(noise, Fast) != nil || Gzip(make([]byte, Worth-1), Fast) != nil {
		t.Error("compressed")
	}
}

// TestBusyWritersDelayNobody: if every processor compresses, the next answer does not wait.
func TestBusyWritersDelayNobody(t *testing.T) {
	for range cap(working) {
		working <- struct{}{}
	}
	if Gzip(make([]byte, 5000), Small) != nil {
		t.Error("more writers than processors")
	}
	for range cap(working) {
		<-working
	}
	if Gzip(make([]byte, 5000), Small) == nil {
		t.Error("a writer is lost")
	}
}

func TestAccepted(t *testing.T) {
	for header, want := range map[string]bool{
		"": false, "gzip": true, "deflate, GZIP;q=0.5": true, "gzip;q=0": false, "gzip;q=0.0, br": false, "br": false, "gzip;q=x": false, "identity": false,
	} {
		if got := Accepted(&http.Request{Header: http.Header{"Accept-Encoding": {header}}}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
}
