package postgres

import (
	"context"
	"errors"
	"testing"
)

// Of a commit and an end of the caller's time that come together, the commit counts, each time: else a caller would be told by
// chance that nobody knows whether its samples are stored.
func TestWhatIsCommittedIsNoFailure(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for range 60 {
		w := &insertion{done: make(chan error, 1), new: 3}
		w.done <- nil
		if n, err := w.committed(ended); n != 3 || err != nil || w.abandoned.Load() {
			t.Fatalf("%d, %v, abandoned %v", n, err, w.abandoned.Load())
		}
	}
	refused := errors.New("refused")
	w := &insertion{done: make(chan error, 1), new: 3}
	w.done <- refused
	if n, err := w.committed(ended); n != 0 || err != refused {
		t.Errorf("%d, %v", n, err)
	}
	w = &insertion{done: make(chan error, 1)}
	if _, err := w.committed(ended); !errors.Is(err, context.Canceled) || !w.abandoned.Load() {
		t.Errorf("%v, abandoned %v", err, w.abandoned.Load())
	}
}
