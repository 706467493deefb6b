package storecopy

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/testprogram"
	"sunspool/internal/testservices"
	"sunspool/vps/store/bolt"
)

var thereAlready = regexp.MustCompile(`(\d+) are there already`)

// A copy that is killed at random moments goes on where it was each time, and the result is the same.
func TestKilledCopyGoesOnWhereItWas(t *testing.T) {
	race.Skip(t, "the program is in a process of its own")
	program := testprogram.Path(t)
	from := change(t, t.TempDir(), func(s whole) {
		insert(t, s, "a", day1, time.Minute, 14)
		insert(t, s, "b", day1, time.Minute, 9)
	})
	pg := testservices.SharedPostgres(t)
	random := rand.New(rand.NewPCG(7, 7))
	// copied copies to new targets until one had something of an earlier run, which a busy machine may end all before it begins.
	copied := func(source string, newTarget func() string) (target string) {
		for range 10 {
			target = newTarget()
			kills, there := killed(t, program, random, source, target)
			equal(t, source, target)
			if kills >= 2 && there >= 1 {
				return target
			}
		}
		t.Fatal("no copy went on where another was: nothing is shown")
		return ""
	}
	database := copied(from, func() string { return pg.NewDatabase(t) })
	back := copied(database, func() string { return filepath.Join(t.TempDir(), "new") })
	for _, dir := range []string{from, back} {
		if content, err := bolt.Verify(t.Context(), filepath.Join(dir, bolt.FileName)); err != nil || content.DamagedRows > 0 {
			t.Errorf("%+v, %v", content, err)
		}
	}
}

// killed copies, killed at random moments, until a run comes to its end. It returns how often it was killed, and what was there
// already when the last run began.
func killed(t *testing.T, program string, random *rand.Rand, from, to string) (kills, there int) {
	t.Helper()
	patience := 80 * time.Millisecond // grows, so that a slow machine comes to the end
	for {
		ctx, cancel := context.WithTimeout(t.Context(), patience/4+time.Duration(random.Int64N(int64(patience))))
		command := exec.CommandContext(ctx, program, "vps", "copy")
		command.Env = append(os.Environ(), "COPY_FROM="+from, "COPY_TO="+to)
		out, err := command.CombinedOutput()
		late := ctx.Err() != nil
		cancel()
		if found := thereAlready.FindSubmatch(out); found != nil {
			n, _ := strconv.Atoi(string(found[1]))
			if n < there {
				t.Errorf("%d samples are there, and were %d", n, there)
			}
			there = n
		}
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && !exit.Exited() && late {
			kills++
			patience += patience / 3
			continue
		}
		if late && command.ProcessState.Success() {
			err = nil // it had come to its end when it was to be killed
		}
		if err != nil || !bytes.Contains(out, []byte("Both are equal")) {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Logf("%d kills, %d samples were there at last", kills, there)
		return kills, there
	}
}
