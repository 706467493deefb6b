package vps

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
)

// The limit is that of a small server, and follows what is in use, so that a large one does not collect all the time.
func TestMemoryLimitFollowsWhatIsInUse(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	inUse := make([]byte, 200<<20)
	runtime.GC()
	if got := memoryLimit(); got < 2*int64(len(inUse)) {
		t.Errorf("%d MiB with %d in use", got>>20, len(inUse)>>20)
	}
	runtime.KeepAlive(inUse)
	inUse = nil
	runtime.GC()
	if got := memoryLimit(); got < smallMemory || got >= 400<<20 {
		t.Errorf("%d MiB afterwards", got>>20)
	}

	debug.SetMemoryLimit(1 << 40)
	t.Setenv("GOMEMLIMIT", "1TiB")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	spareMemory(ended)
	if got := debug.SetMemoryLimit(-1); got != 1<<40 {
		t.Errorf("the operator's limit became %d MiB", got>>20)
	}
	t.Setenv("GOMEMLIMIT", "")
	spareMemory(ended)
	if got := debug.SetMemoryLimit(-1); got == 1<<40 {
		t.Error("there is no limit")
	}
}
