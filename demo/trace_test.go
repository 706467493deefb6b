package demo

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// traced are the system calls that change files, or would and are not known to the disk of the crash test.
const traced = "openat,openat2,creat,mkdirat,pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync,sync,syncfs,sync_file_range,msync," +
	"ftruncate,truncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,close,mmap,copy_file_range,sendfile,dup,dup2,dup3"

// systemCall is one call of a traced process that succeeded.
type systemCall struct {
	name       string
	args       []string
	result     int64
	begun, end int       // lines of the trace
	at         time.Time // begun
}

// underStrace runs a command with its file operations recorded in a file. The process it starts is the command itself.
func underStrace(trace, command string, args ...string) *exec.Cmd {
	return exec.Command("strace", append([]string{"-D", "-f", "-y", "-ttt", "--seccomp-bpf", "-xx", "-s", "67108864", "-e", "trace=" + traced, "-o", trace, command}, args...)...)
}

// awaitTrace waits until the tracer has written all it saw of a process that has ended.
func awaitTrace(trace string, pid int) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(trace)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text[max(0, len(text)-4096):])) {
			if strings.HasPrefix(line, strconv.Itoa(pid)+" ") && strings.Contains(line, " +++ ") && strings.HasSuffix(line, "\n") {
				return nil
			}
		}
	}
	return fmt.Errorf("%s has no end", trace)
}

// errCutWrite is of a trace that does not have what a call did that changes files.
var errCutWrite = errors.New("the process was killed in the middle of a write")

// readTrace reads what underStrace recorded: the calls that succeeded, in the order in which they had their effect at
// the latest. A call to sync has it when it returns; what is written is on its way from the beginning.
func readTrace(path string) ([]systemCall, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var calls []systemCall
	open := make(map[string]systemCall) // by thread
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<30)
	for n := 0; lines.Scan(); n++ {
		thread, rest, _ := strings.Cut(lines.Text(), " ")
		stamp, rest, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
		if strings.HasPrefix(rest, "---") || strings.HasPrefix(rest, "+++") || rest == "" {
			continue
		}
		var c systemCall
		if strings.HasPrefix(rest, "<... ") {
			c = open[thread]
			delete(open, thread)
			_, more, ok := strings.Cut(rest, " resumed>")
			if c.name == "" || !ok {
				return nil, fmt.Errorf("%s:%d: %.100s", path, n+1, rest)
			}
			rest = c.args[0] + more
		} else {
			c.begun = n
			seconds, err := strconv.ParseFloat(stamp, 64)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n+1, err)
			}
			c.at = time.UnixMicro(int64(seconds*1e6 + 0.5))
			if c.name, rest, _ = strings.Cut(rest, "("); rest == "" {
				return nil, fmt.Errorf("%s:%d: no call", path, n+1)
			}
		}
		if begun, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
			c.args = []string{begun}
			open[thread] = c
			continue
		}
		i := strings.LastIndex(rest, ") ")
		j := strings.LastIndex(rest, "= ")
		if i < 0 || j < i {
			return nil, fmt.Errorf("%s:%d: no result: %.100s", path, n+1, rest)
		}
		c.end = n
		c.args = strings.Split(rest[:i], ", ")
		digits, _, _ := strings.Cut(rest[j+2:], "<")
		digits, _, _ = strings.Cut(digits, " ")
		if c.result, err = strconv.ParseInt(digits, 0, 64); err != nil || c.result < 0 {
			continue // failed, or did not return because the process was killed
		}
		calls = append(calls, c)
	}
	// What was on its way when the process was killed may have had its effect.
	for _, c := range open {
		if slices.Contains([]string{"pwrite64", "write", "ftruncate", "fallocate", "renameat", "renameat2", "linkat", "unlinkat"}, c.name) || strings.Contains(c.args[0], "O_CREAT") {
			return nil, fmt.Errorf("%s: %w", path, errCutWrite)
		}
	}
	slices.SortStableFunc(calls, func(a, b systemCall) int { return cmp.Compare(a.effect(), b.effect()) })
	return calls, lines.Err()
}

// effect is the line of the trace at which the call counts.
func (c systemCall) effect() int {
	switch c.name {
	case "fsync", "fdatasync", "sync", "syncfs", "openat", "openat2", "creat":
		return c.end
	}
	return c.begun
}

// fd is a file descriptor in place i.
func (c systemCall) fd(i int) int {
	digits, _, _ := strings.Cut(c.args[i], "<")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

// fdPath is the name that the file of the descriptor in place i had.
func (c systemCall) fdPath(i int) string {
	_, name, _ := strings.Cut(c.args[i], "<")
	return string(unhex(strings.TrimSuffix(name, ">")))
}

// text is a string or buffer in place i. It is never cut off: see -s.
func (c systemCall) text(i int) []byte { return unhex(strings.Trim(c.args[i], `"`)) }

// path is a file name in place i, of which the directory is in place i-1.
func (c systemCall) path(i int) string {
	p := string(c.text(i))
	if !filepath.IsAbs(p) && i > 0 {
		p = filepath.Join(c.fdPath(i-1), p)
	}
	return filepath.Clean(p)
}

func (c systemCall) number(i int) int64 {
	n, err := strconv.ParseInt(c.args[i], 0, 64)
	if err != nil {
		return -1
	}
	return n
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		return []byte(s)
	}
	return b
}
