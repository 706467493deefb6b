package fair

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/auth"
)

// take takes n of the slots for a token, whatever is its share.
func take(p *Slots, token string, n int) (all []*Slot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range n {
		all = append(all, p.hold(sum(token)))
	}
	return all
}

func sum(token string) auth.TokenSum { return auth.SumOf(token) }

// A token waits for slots of its own beyond its share, not so long that its caller gives up, and few of its requests do.
func TestTokenHasNoMoreThanItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(8, 2, 1)
		first, second := p.Take(t.Context(), sum("a")), p.Take(t.Context(), sum("a"))
		third := make(chan *Slot, 1)
		began := time.Now()
		go func() { third <- p.Take(t.Context(), sum("a")) }()
		synctest.Wait()
		if p.Take(t.Context(), sum("a")) != nil || time.Since(began) > 0 {
			t.Errorf("a fourth one waits, too, for %v", time.Since(began))
		}
		if p.Take(t.Context(), sum("b")) == nil || time.Since(began) > 0 {
			t.Error("another token waits")
		}
		if got := <-third; got != nil || time.Since(began) != slotPatience {
			t.Errorf("the third one got %v after %v", got, time.Since(began))
		}
		go func() { third <- p.Take(t.Context(), sum("a")) }()
		synctest.Wait()
		first.Release()
		first.Release() // again is without effect
		got := <-third
		if got == nil || p.Taken() != 3 || !p.Full(sum("a")) {
			t.Errorf("after one left: %v, %d taken", got, p.Taken())
		}
		got.Release()
		second.Release()
	})
}

// What becomes free goes to the token that has least, not to the one that waits longest.
func TestSlotGoesToTheTokenThatHasLeast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(5, 5, 4)
		held := append(take(p, "a", 4), take(p, "b", 1)...)
		order := make(chan string, 3)
		for _, name := range []string{"a", "b", "c"} {
			go func() {
				if p.Take(t.Context(), sum(name)) != nil {
					order <- name
				}
			}()
			synctest.Wait()
		}
		for _, want := range []string{"c", "b"} {
			held[0].Release()
			held = held[1:]
			synctest.Wait()
			if len(order) != 1 {
				t.Fatalf("%d got one", len(order))
			}
			if got := <-order; got != want {
				t.Errorf("%s got it, want %s", got, want)
			}
		}
		time.Sleep(slotPatience)
		synctest.Wait()
		if n := len(p.waiting); n != 0 {
			t.Errorf("%d still wait", n)
		}
	})
}

// Of tokens that have as many, the one that was served longest ago is next, however many requests of another wait.
func TestSlotsGoRoundTheTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, 1, 8)
		first := p.Take(t.Context(), sum("a"))
		order := make(chan string, 8)
		for _, name := range []string{"a", "a", "a", "b", "b", "c"} {
			go func() {
				l := p.Take(t.Context(), sum(name))
				order <- name
				time.Sleep(time.Millisecond)
				l.Release()
			}()
			synctest.Wait()
		}
		first.Release()
		time.Sleep(time.Second)
		var got strings.Builder
		for range 6 {
			got.WriteString(<-order)
		}
		synctest.Wait() // the last one has left
		if got.String() != "abcaba" && got.String() != "abcbaa" {
			t.Errorf("they were served as %s", got.String())
		}
		if len(p.last) > 0 {
			t.Errorf("%d tokens are remembered", len(p.last))
		}
	})
}

// One that waits gets a slot of the token that has most as soon as that can be ended, one of a token that has as little as
// itself only when that has taken long, and none that cannot be ended.
func TestTokenThatHasMostMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(4, 4, 4)
		ended := make(chan string, 10)
		held := map[string][]*Slot{"a": take(p, "a", 1), "b": take(p, "b", 2), "c": take(p, "c", 1)}
		may := func(name string, i int) {
			l := held[name][i]
			l.SetCancel(func() { ended <- name; go l.Release() })
		}
		may("a", 0)
		time.Sleep(slotGrace / 2)
		may("b", 1)
		began := time.Now()
		if p.Take(t.Context(), sum("d")) == nil || time.Since(began) > 0 || <-ended != "b" {
			t.Errorf("waited %v for what could be ended", time.Since(began))
		}
		if p.Take(t.Context(), sum("e")) == nil || time.Since(began) < slotGrace/2 || time.Since(began) > slotGrace || <-ended != "a" {
			t.Errorf("waited %v for what took long", time.Since(began))
		}
		if p.Take(t.Context(), sum("f")) != nil || time.Since(began) < slotPatience {
			t.Error("got what cannot be ended")
		}
		if p.Take(t.Context(), sum("d")) != nil {
			t.Error("got one although nobody has more")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.Take(ctx, sum("g")) != nil || len(p.waiting) != 0 || len(ended) != 0 {
			t.Errorf("%d wait, %d ended", len(p.waiting), len(ended))
		}
	})
}
