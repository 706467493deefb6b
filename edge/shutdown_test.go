package edge

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
)

// What is in memory is on the disk before the last upload begins, and before a request that does not end.
func TestEndWritesBeforeItUploads(t *testing.T) {
	dir := testhost.MemoryDir(t)
	synctest.Test(t, func(t *testing.T) {
		e := watchedEdge(t, dir)
		e.Commit = 5 * time.Minute
		hurry := make(chan struct{})
		e.Hurry = hurry
		free := make(chan struct{})
		e.Uploader.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
			select {
			case <-free: // the request under way does not end with its context
				<-r.Context().Done()
			case <-r.Context().Done():
				<-free
			}
			return nil, r.Context().Err()
		})
		fill(t, e.Spool, 1) // so that there is something to upload
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- e.Run(ctx) }()
		time.Sleep(time.Minute)
		inMemory := e.buffer.Len()
		if inMemory < 10 {
			t.Fatalf("%d samples in memory", inMemory)
		}
		cancel()
		synctest.Wait()
		if e.buffer.Len() > 0 || e.Spool.Waiting() < inMemory+1 {
			t.Errorf("a request hangs, and %d samples are in memory, %d in the spool", e.buffer.Len(), e.Spool.Waiting())
		}
		close(free)
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("there is no last upload")
		default:
		}
		told := time.Now()
		close(hurry)
		if err := <-done; err != nil || time.Since(told) > 0 {
			t.Errorf("told to hurry it ends after %v, %v", time.Since(told), err)
		}
	})
}
