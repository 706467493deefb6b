package live

import (
	"fmt"
	"testing"

	"sunspool/vps/auth"
	"sunspool/wire"
)

// A token beyond its share closes its own oldest, and a token that has none gets one of the token that has most.
func TestStreamsAreSharedByToken(t *testing.T) {
	var l Hub
	open := func(token string, n int) (all []*Subscription) {
		for range n {
			all = append(all, l.Subscribe(auth.SumOf(token), "inv-1"))
		}
		return all
	}
	closed := func(all []*Subscription) (n int) {
		for _, sub := range all {
			select {
			case <-sub.Closed:
				n++
			default:
			}
		}
		return n
	}
	good := open("good", 2)
	evil := open("evil", MaxStreams+3)
	if n := closed(evil); n != MaxStreams+3-MaxStreams/4 || closed(good) != 0 || closed(evil[:n]) != n {
		t.Errorf("of %d streams of one token %d are closed, of another's %d", len(evil), n, closed(good))
	}
	var others [][]*Subscription
	for i := range 19 {
		others = append(others, open(fmt.Sprint("other ", i), MaxStreams))
	}
	if closed(good) != 0 || l.Count() != MaxStreams {
		t.Errorf("%d of two streams are closed by others that have more, %d are open", closed(good), l.Count())
	}
	late := open("late", 1)
	for i := range 200 { // more than there is room for, of tokens that have no other
		open(fmt.Sprint("one ", i), 1)
	}
	if closed(late) != 0 {
		t.Error("the only stream of a token is closed for another's")
	}
	if again := open("late", 1); closed(late) != 1 || closed(again) != 0 {
		t.Error("where there is no room, a second stream does not take the place of the first")
	}
	for _, all := range append(others, good, evil, late) {
		for _, sub := range all {
			l.Unsubscribe(sub)
		}
	}
}

// A stream of several devices gets what is stored of each of them, and after Follow that of others.
func TestAStreamMayBeAboutSeveralDevices(t *testing.T) {
	var l Hub
	sub := l.Subscribe(auth.SumOf("token"), "roof", "barn")
	got := func() (names string) {
		for _, id := range []string{"roof", "shed", "barn"} {
			if l.HasSubscribers(id) {
				l.Publish(wire.Sample{DeviceID: id})
			}
		}
		for _, s := range l.Take(sub) {
			names += s.DeviceID + " "
		}
		return names
	}
	if names := got(); names != "roof barn " {
		t.Errorf("it got %q", names)
	}
	l.Follow(sub, "shed", "barn")
	if names := got(); names != "shed barn " {
		t.Errorf("after a change it got %q", names)
	}
}
