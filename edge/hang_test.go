package edge

import (
	"context"
	"io/fs"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// E38: a loop that hangs for good, wherever it does, is missed by the watchdog; one that waits for what is slow is not.
func TestWatchdogMissesALoopThatHangs(t *testing.T) {
	for loop, hang := range map[string]func(e *Edge, free <-chan struct{}){
		"collect": func(e *Edge, free <-chan struct{}) {
			e.Kept = func(wire.Sample) { <-free }
		},
		"deliver": func(e *Edge, free <-chan struct{}) {
			e.Uploader.Client.Transport = uploadtest.Tripper(func(*http.Request) (*http.Response, error) { // whatever its context says
				<-free
				return nil, fs.ErrClosed
			})
		},
	} {
		t.Run(loop, func(t *testing.T) {
			dir := testhost.MemoryDir(t)
			synctest.Test(t, func(t *testing.T) {
				e := watchedEdge(t, dir)
				free := make(chan struct{})
				hang(e, free)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- e.Run(ctx) }()

				time.Sleep(time.Minute)
				if name, _ := e.Pulses.Stalled(); name != "" {
					t.Fatalf("%s is missed after a minute", name)
				}
				time.Sleep(2 * time.Minute)
				if name, _ := e.Pulses.Stalled(); name != loop {
					t.Errorf("%q is missed, want %s", name, loop)
				}
				cancel()
				close(free)
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
