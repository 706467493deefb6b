package vps

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sunspool/internal/testservices"
)

// process is the real program as a vps in a process of its own, whose memory, log and death can be looked at.
type process struct {
	t                *testing.T
	cmd              *exec.Cmd
	dir, log         string       // DATA_DIR, and the file that has all it wrote
	public, internal string       // addresses
	ended            func() error // waits for the exit
}

// startProcess starts the program at path with nothing but env as its settings, and waits until it serves.
func startProcess(t *testing.T, path string, env ...string) *process {
	t.Helper()
	p := &process{t: t, dir: t.TempDir()}
	p.log = filepath.Join(p.dir, "log")
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(path, "vps")
	p.cmd.Env = append([]string{"DATA_DIR=" + p.dir, "LISTEN_ADDR=127.0.0.1:0", "INTERNAL_ADDR=127.0.0.1:0", "LOG_LEVEL=debug"}, env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.ended = sync.OnceValue(p.cmd.Wait)
	go p.ended()
	t.Cleanup(func() { p.end(syscall.SIGKILL) }) // and waits: until then it writes in the folder that is removed next

	var started struct{ Listen, Internal string }
	p.until("it listens", func() bool {
		line := regexp.MustCompile(`(?m)^.*"msg":"vps started".*$`).FindString(p.said())
		return json.Unmarshal([]byte(line), &started) == nil
	})
	p.public, p.internal = started.Listen, started.Internal
	return p
}

// until waits for something that the process does.
func (p *process) until(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(testservices.Patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("not even now: %s:\n%.4000s", what, p.said())
		}
	}
}

// said is all that the process wrote so far.
func (p *process) said() string {
	p.t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// end sends a signal and waits for the exit.
func (p *process) end(signal os.Signal) error {
	p.cmd.Process.Signal(signal)
	return p.ended()
}

// proc reads a file of /proc about the process.
func (p *process) proc(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// mostMemory is the most that was ever resident, MiB.
func (p *process) mostMemory() int {
	p.t.Helper()
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindStringSubmatch(p.proc("status"))
	if found == nil {
		p.t.Fatal("no VmHWM")
	}
	kib, _ := strconv.Atoi(found[1])
	return kib >> 10
}

// answer is what the process answers to a GET without a token, headers included.
func (p *process) answer(address, path string) string {
	p.t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var all bytes.Buffer
	fmt.Fprintln(&all, resp.Status, resp.Header)
	io.Copy(&all, resp.Body)
	return all.String()
}

// checkLog holds every line to the rules of a log that hostile callers write into: one JSON object each, short, without
// what a terminal obeys, no answer of 5xx, no panic. It returns how many requests it has.
func checkLog(t *testing.T, log string) (requests int) {
	t.Helper()
	wrong := 0
	for line := range strings.Lines(log) {
		var entry struct {
			Level, Msg string
			Status     int
		}
		err := json.Unmarshal([]byte(line), &entry)
		if err != nil || entry.Msg == "" || entry.Level == "ERROR" || entry.Status >= 500 || len(line) > 2000 ||
			strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
			if wrong++; wrong <= 5 {
				t.Errorf("a line of the log (%v): %.600q", err, line)
			}
		}
		if entry.Msg == "request" {
			requests++
		}
	}
	if wrong > 5 {
		t.Errorf("and %d more lines", wrong-5)
	}
	return requests
}
