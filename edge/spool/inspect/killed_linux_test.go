package inspect

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/spool/format"
	"sunspool/internal/testhost"
)

const requeueIn = "SUNSPOOL_TEST_REQUEUE"

// TestMain is the command that is killed, in a process of its own.
func TestMain(m *testing.M) {
	if path := os.Getenv(requeueIn); path != "" {
		os.Stdout.WriteString("ready\n")
		if _, err := Requeue(path, format.Choice{}); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A requeue is one transaction: wherever it is killed, every sample is in the quarantine or waits, and none is in both.
func TestKilledRequeueLosesAndDoublesNothing(t *testing.T) {
	const n, rounds = 800, 8
	path := filepath.Join(testhost.MemoryDir(t), "spool.db")
	s := openSpool(t, path)
	fill(t, s, n)
	var all []spool.Rejection
	for seq := range uint64(n) {
		all = append(all, spool.Rejection{Seq: seq + 1, Code: "value_error"})
	}
	var longest time.Duration
	for round := range rounds {
		if err := s.Settle(nil, all); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), requeueIn+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if round > 0 { // the first is how long it takes
			time.Sleep(longest * time.Duration(round) / rounds)
			cmd.Process.Kill()
		}
		io.Copy(io.Discard, out)
		cmd.Wait()
		if round == 0 {
			longest = time.Since(began)
		}
		f, err := Open(path, "show", Wait)
		if err != nil || f.Damage != "" {
			t.Fatalf("killed in round %d: %v, %+v", round, err, f)
		}
		seen, parts := map[uint64]int{}, map[string]int{}
		for _, part := range []string{format.PartWaiting, format.PartQuarantine} {
			for after := uint64(0); ; {
				page, err := f.Page(part, after)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range page.Samples {
					seen[s.Number]++
					parts[part]++
				}
				if after = page.Next; after == 0 {
					break
				}
			}
		}
		f.Close()
		if len(seen) != n || parts[format.PartWaiting]+parts[format.PartQuarantine] != n || parts[format.PartWaiting]*parts[format.PartQuarantine] != 0 {
			t.Fatalf("killed in round %d: %d samples, %v", round, len(seen), parts)
		}
		t.Logf("round %d: %v", round, parts)
		s = openSpool(t, path)
		if got := s.Waiting() + s.InQuarantine(); got != n {
			t.Fatalf("an edge counts %d", got)
		}
	}
}
