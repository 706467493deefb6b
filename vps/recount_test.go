package vps

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/vps/store"
)

// counting has some days to count; each takes a while, and some calls fail.
type counting struct {
	store.Samples
	left, calls int
	fails       map[int]bool
}

func (c *counting) Recount(context.Context) (int, error) {
	if c.calls++; c.fails[c.calls] {
		return 0, store.ErrUnavailable
	}
	if c.left == 0 {
		return 0, nil
	}
	time.Sleep(time.Second)
	c.left--
	return 1, nil
}

func TestRecountOutlivesAnOutageAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		c := &counting{left: 100, fails: map[int]bool{1: true, 2: true, 50: true}}
		began := time.Now()
		recount(t.Context(), c, slog.New(slog.NewJSONHandler(&log, nil)))
		if c.left != 0 || c.calls != 104 {
			t.Errorf("%d days are left after %d calls", c.left, c.calls)
		}
		if took := time.Since(began); took < 200*time.Second {
			t.Errorf("100 days that take 1 s each were done in %v: nothing else had a turn", took)
		}
		for line, want := range map[string]int{
			"counting the rollups": 1, "trying again": 2, "still counting": 3, `"days":100`: 1, "are counted by the new rules": 1,
		} {
			if n := strings.Count(log.String(), line); n != want {
				t.Errorf("%d lines with %q, want %d:\n%s", n, line, want, log.String())
			}
		}
	})
}

func TestNothingToRecountIsSilent(t *testing.T) {
	var log logBuffer
	recount(t.Context(), &counting{}, slog.New(slog.NewJSONHandler(&log, nil)))
	if log.String() != "" {
		t.Error(log.String())
	}
}

func TestRecountEndsWithTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c := &counting{left: 100}
		recount(ctx, c, slog.New(slog.DiscardHandler))
		if c.left < 94 || c.left > 95 {
			t.Errorf("%d days are left after 10 s of 2 s each", c.left)
		}
	})
}
