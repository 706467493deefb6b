package vps

import (
	"context"
	"os"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"
)

// smallMemory is what Go takes for a server of some inverters while all that callers may do at once is done.
const smallMemory = 72 << 20

// spareMemory has garbage collected sooner when the process would grow beyond smallMemory, until ctx ends. Where what is in use
// needs more, the limit goes up with it, and costs nothing. GOMEMLIMIT, which is the operator's, comes first.
func spareMemory(ctx context.Context) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	look := time.NewTicker(5 * time.Second)
	defer look.Stop()
	for {
		debug.SetMemoryLimit(memoryLimit())
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

func memoryLimit() int64 {
	live := []gometrics.Sample{{Name: "/gc/heap/live:bytes"}} // after the last collection
	gometrics.Read(live)
	return max(smallMemory, 2*int64(live[0].Value.Uint64())+16<<20)
}
