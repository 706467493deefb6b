package api

import (
	"io"
	"net/http/httptest"
	"sync"
	"testing"

	"sunspool/wire"
)

func TestMoreRequestsThanPlacesAreAskedToComeAgain(t *testing.T) {
	b := newBench(t, func(s *Server) { s.MaxAtOnce = 1 })
	others := append(occupy(b.Reads, "others", 1), occupy(b.Uploads, "others", 1)...)
	b.Reads.Patience, b.Uploads.Patience = 0, 0
	for name, w := range map[string]*httptest.ResponseRecorder{
		"a reader": b.get("/v1/realtime?device_id=inv-1", token1), "an upload": b.post(token1, bodyOf()),
	} {
		if w.Code != 503 || w.Header().Get("Retry-After") != "1" || detail(t, w) != "Too many requests at once." {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := b.post(tokenWrong, bodyOf()); w.Code != 401 {
		t.Errorf("a stranger gets %d: a place would be his to take", w.Code)
	}
	if w := b.get("/health", ""); w.Code != 200 {
		t.Errorf("health is %d when busy", w.Code)
	}
	for _, one := range others {
		one.Release()
	}
	if w := b.post(token1, bodyOf()); w.Code != 200 {
		t.Errorf("%d after the place is free: %s", w.Code, w.Body)
	}
}

// Readers, however many, take no place from uploads, and uploads none from readers.
func TestReadersAndUploadsHavePlacesOfTheirOwn(t *testing.T) {
	b := newBench(t)
	b.Reads.Patience, b.Uploads.Patience = 0, 0
	readers := occupy(b.Reads, "others", b.Reads.Most)
	if w := b.post(token1, bodyOf(fields(0))); w.Code != 200 {
		t.Errorf("an upload beside readers: %d %s", w.Code, w.Body)
	}
	for _, one := range readers {
		one.Release()
	}
	occupy(b.Uploads, "others", b.Uploads.Most)
	if w := b.get("/v1/realtime?device_id=inv-1", token1); w.Code != 200 {
		t.Errorf("a reader beside uploads: %d %s", w.Code, w.Body)
	}
}

// A token that has all the uploads it may have takes no place for one more, and does not wait for one.
func TestRefusedUploadTakesNoPlace(t *testing.T) {
	b := newBench(t)
	occupy(b.Uploads, token1, b.Uploads.Each)
	if w := b.post(token1, bodyOf()); w.Code != 429 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if n := b.Uploads.Taken(); n != b.Uploads.Each {
		t.Errorf("%d places are taken", n)
	}
}

// TestOneTokenLeavesPlacesToOthers: one that sends very slowly, on as many connections as it can.
func TestOneTokenLeavesPlacesToOthers(t *testing.T) {
	b := newBench(t, func(s *Server) { s.MaxAtOnce = 8 })
	var slow sync.WaitGroup
	var ends []*io.PipeWriter
	for range 2 {
		body, end := io.Pipe()
		ends = append(ends, end)
		slow.Go(func() {
			if w := do(b.api, "POST", wire.IngestPath, token1, body); w.Code != 200 {
				t.Errorf("a slow upload: %d %s", w.Code, w.Body)
			}
		})
		io.WriteString(end, `{"samples":`) // is taken when it is being read
	}
	if w := b.post(token1, bodyOf()); w.Code != 429 || w.Header().Get("Retry-After") != "1" || detail(t, w) != "Too many uploads with this token at once." {
		t.Errorf("a third one: %d %s", w.Code, w.Body)
	}
	if n := b.Uploads.Taken(); n != 2 {
		t.Errorf("%d places are taken, want those of the two slow uploads", n)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"another device": b.post(token2, bodyOf()), "another token of the same device": b.post(token1b, bodyOf()),
	} {
		if w.Code != 200 {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := b.get("/v1/realtime?device_id=inv-1", token1); w.Code != 404 {
		t.Errorf("a reader with the same token: %d %s", w.Code, w.Body)
	}
	for _, end := range ends {
		io.WriteString(end, `[]}`)
		end.Close()
	}
	slow.Wait()
	if w := b.post(token1, bodyOf()); w.Code != 200 || b.Uploads.Taken() != 0 {
		t.Errorf("afterwards: %d %s, %d taken", w.Code, w.Body, b.Uploads.Taken())
	}
}
