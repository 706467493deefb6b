package batch

import (
	"bytes"
	"sync"
)

// SmallBody is more than what an edge sends that has no backlog. Few bodies that are larger are in memory at a time.
const SmallBody = 64 << 10

// largeBuffers are buffers, *bytes.Buffer, of bodies that were more than smallBody.
var largeBuffers sync.Pool

// Enlarge gives b room for that many bytes, at once: to double it time and again takes three times as much.
func Enlarge(b *bytes.Buffer, room int) {
	large, _ := largeBuffers.Get().(*bytes.Buffer)
	if large == nil || large.Cap() < room {
		large = bytes.NewBuffer(make([]byte, 0, room))
	}
	large.Reset()
	large.Write(b.Bytes())
	*b = *large
}
