package demo

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sunspool/internal/testhost"
)

var processPolls = flag.Int("process-polls", 36, "polls that BenchmarkEdgeProcess measures, 5 s each")

const (
	processWarmup = 75 * time.Second // beyond the first minute, after which the edge gives back what its start needed
	timerSlack    = time.Millisecond // TimerSlackNSec of the unit
)

// BenchmarkEdgeProcess measures what the whole edge costs a small machine at its real pace, with the server up: processor
// time for each sample, and the memory that is resident. Beside it, on the same machine at the same time, is the least that a
// Go program needs for the same reads, flushes and posts (testdata/leastedge). How busy the machine is changes the times of
// both; the ratio is what can be compared.
func BenchmarkEdgeProcess(b *testing.B) {
	least := filepath.Join(b.TempDir(), "leastedge")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", least, "./testdata/leastedge")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	s := newSite(b)
	s.serve(edgeToken + ":roof," + leastToken + ":least")
	inverters := []string{testhost.Address(b), testhost.Address(b)}
	for i, address := range inverters {
		s.start(fmt.Sprintf("inverter%d.log", i), nil, "simulate", "--listen="+address)
		for deadline := time.Now().Add(patience); !listens(address) && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond)
		}
	}
	for b.Loop() {
		edge := punctual(timerSlack, func() *process {
			return s.edge("roof", edgeToken, inverters[0], "LOG_LEVEL=info", "UPLOAD_INTERVAL_S=10", "MAX_BACKOFF_S=300")
		})
		cmd := exec.Command(least, inverters[1], "https://"+s.listen+"/v1/ingest", leastToken, s.secret.caFile, filepath.Join(s.dir, "record"))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })

		time.Sleep(processWarmup)
		health := filepath.Join(s.dir, "roof", "health.json")
		polls, spent, leastSpent := pollsIn(b, health), processorTime(b, edge.cmd.Process.Pid), processorTime(b, cmd.Process.Pid)
		time.Sleep(time.Duration(*processPolls) * 5010 * time.Millisecond)
		n := pollsIn(b, health) - polls
		if n == 0 {
			b.Fatal("the edge has not polled")
		}
		each := (processorTime(b, edge.cmd.Process.Pid) - spent) / time.Duration(n)
		leastEach := (processorTime(b, cmd.Process.Pid) - leastSpent) / time.Duration(n)
		b.ReportMetric(float64(each.Microseconds())/1000, "ms/sample")
		b.ReportMetric(float64(leastEach.Microseconds())/1000, "least-ms/sample")
		b.ReportMetric(float64(each)/float64(leastEach), "x-least-time")
		for _, kind := range []string{"VmRSS", "RssAnon", "RssFile"} {
			b.ReportMetric(mebibytes(b, edge.cmd.Process.Pid, kind), kind+"-MiB")
		}
		b.ReportMetric(mebibytes(b, cmd.Process.Pid, "VmRSS"), "least-VmRSS-MiB")
		b.ReportMetric(mebibytes(b, edge.cmd.Process.Pid, "VmRSS")/mebibytes(b, cmd.Process.Pid, "VmRSS"), "x-least-VmRSS")
		b.ReportMetric(0, "ns/op")
		if err := edge.end(unix.SIGTERM); err != nil {
			b.Error(err)
		}
	}
}

const (
	edgeToken  = "edge-0123456789abcdef"
	leastToken = "least-0123456789abcdef"
)

// punctual starts a process whose timers may be late by slack.
func punctual(slack time.Duration, start func() *process) *process {
	runtime.LockOSThread() // a new process has the slack of the thread that starts it
	defer runtime.UnlockOSThread()
	unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0)
	defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // the default
	return start()
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func pollsIn(b *testing.B, path string) int64 {
	var health struct{ Polls int64 }
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &health)
	}
	if err != nil {
		b.Fatal(err)
	}
	return health.Polls
}

// processorTime is what the threads of a process have run. Those of Go do not end.
func processorTime(b *testing.B, pid int) (total time.Duration) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(threads) == 0 {
		b.Fatalf("no threads of process %d: %v", pid, err)
	}
	for _, path := range threads {
		text, _ := os.ReadFile(path)
		ran, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(ns)
	}
	return total
}

// mebibytes is a line of /proc/PID/status.
func mebibytes(b *testing.B, pid int, name string) float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb / 1024
		}
	}
	b.Fatalf("no %s of process %d", name, pid)
	return 0
}
