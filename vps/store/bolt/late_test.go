package bolt

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"sunspool/vps/store"
)

// lateContext ends when its write is with the writer and the caller begins to wait for the commit, after meanwhile.
type lateContext struct {
	context.Context
	meanwhile func()
	asked     int
	over      chan struct{}
}

func late(meanwhile func()) *lateContext {
	return &lateContext{Context: context.Background(), meanwhile: meanwhile, over: make(chan struct{})}
}

func (c *lateContext) Done() <-chan struct{} {
	if c.asked++; c.asked == 2 { // the first time it waits for the writer
		c.meanwhile()
		close(c.over)
	}
	return c.over
}

func (c *lateContext) Err() error {
	select {
	case <-c.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// What is committed when the time of its caller ends was done in time: else a pairing code would be used, and nobody have its token.
func TestWhatIsCommittedIsNoFailure(t *testing.T) {
	b := opened(t, t.TempDir())
	for i := range 60 {
		ctx := late(func() {
			for all := []store.Site(nil); len(all) <= i; {
				var err error
				if all, err = b.Sites(context.Background()); err != nil {
					t.Error(err)
					return
				}
			}
			if err := b.Check(context.Background()); err != nil { // the writer comes to it when it has answered the other one
				t.Error(err)
			}
		})
		if err := b.SetSite(ctx, store.Site{Name: fmt.Sprint("site-", i), Devices: []string{"roof"}}); err != nil {
			t.Fatalf("write %d is committed, and its caller is told: %v", i, err)
		}
	}
}

// A caller that does not wait for the end has no token, and does not look at what the writer still writes.
func TestRevokeThatFailsReturnsNoToken(t *testing.T) {
	b := opened(t, t.TempDir())
	for i := range 60 {
		token := store.Token{ID: fmt.Sprint("id-", i), Sum: fmt.Appendf(nil, "%032d", i), Name: fmt.Sprint(i), Role: store.RoleViewer, Devices: []string{"roof"}, Created: time.Now()}
		if err := b.AddToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		got, err := b.RevokeToken(late(func() {}), token.ID, time.Now())
		if (err == nil) != (got.ID == token.ID) || err != nil && !reflect.ValueOf(got).IsZero() {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	if got, err := b.RevokeToken(t.Context(), "other", time.Now()); !errors.Is(err, store.ErrNoToken) || !reflect.ValueOf(got).IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
}
