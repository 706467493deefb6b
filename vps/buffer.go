package vps

import (
	"bytes"
	"sync"
)

// smallBody is more than what an edge sends that has no backlog. Few bodies that are larger are in memory at a time.
const smallBody = 64 << 10

// bulkyBodies are buffers, *bytes.Buffer, of bodies that were more than smallBody.
var bulkyBodies sync.Pool

// enlarge gives b room for that many bytes, at once: to double it time and again takes three times as much.
func enlarge(b *bytes.Buffer, room int) {
	large, _ := bulkyBodies.Get().(*bytes.Buffer)
	if large == nil || large.Cap() < room {
		large = bytes.NewBuffer(make([]byte, 0, room))
	}
	large.Reset()
	large.Write(b.Bytes())
	*b = *large
}
