package edge

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/internal/testservices"
	"sunspool/settings"
)

// Both are set in the process that TestPollCostsOneCommit traces: to the layout of its edge, and to its disk.
const (
	costVariable = "SUNSPOOL_TEST_LAYOUT"
	diskVariable = "SUNSPOOL_TEST_DISK"
)

// costPolls is how many polls are counted.
const costPolls = 20

// changing are the system calls that change a disk, or make what was changed durable.
const changing = "openat,creat,mkdirat,pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync,sync,syncfs,sync_file_range,msync,ftruncate,truncate,fallocate," +
	"rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,utimensat,utime,utimes,futimesat,chmod,fchmod,fchmodat,chown,fchown,fchownat,copy_file_range"

// While the server is up, a poll changes the spool alone, by one commit of two syncs. A health file that lies beside it is
// one write more, without a sync and without a name that is new. Of several inverters each is polled every other time.
func TestPollCostsOneCommit(t *testing.T) {
	if layout := os.Getenv(costVariable); layout != "" {
		pollTraced(t, layout)
		return
	}
	testservices.Need(t, "strace", "strace")
	const n = costPolls
	for layout, want := range map[string]map[string]int{
		"package":   {"fdatasync spool.db": 2 * n},
		"container": {"fdatasync spool.db": 2 * n, "pwrite64 health.json": n},
		"several":   {"fdatasync spool.db": n, "fdatasync garage.db": n, "pwrite64 health.json": n / 2, "pwrite64 garage.health.json": n / 2},
	} {
		t.Run(layout, func(t *testing.T) {
			calls := countCalls(t, layout)
			pages := 0
			for _, spool := range []string{"pwrite64 spool.db", "pwrite64 garage.db"} {
				pages += calls[spool]
				delete(calls, spool)
			}
			if !maps.Equal(calls, want) {
				t.Errorf("%d polls made %v, want %v", n, calls, want)
			}
			if pages < 2*n || pages > 4*n {
				t.Errorf("%d polls wrote %d times to a spool", n, pages)
			}
		})
	}
}

// countCalls runs this test in a process of its own and returns how often it changed each file of the disk while it was
// counted.
func countCalls(t *testing.T, layout string) map[string]int {
	t.Helper()
	disk, trace := t.TempDir(), filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-y", "-qq", "--seccomp-bpf", "-e", "trace=readlinkat,"+changing, "-o", trace,
		os.Args[0], "-test.run", "^TestPollCostsOneCommit$", "-test.v")
	cmd.Env = append(os.Environ(), costVariable+"="+layout, "TMPDIR="+t.TempDir(), diskVariable+"="+disk)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	_, counted, begun := strings.Cut(string(text), disk+"/begin")
	counted, _, ended := strings.Cut(counted, disk+"/end")
	if !begun || !ended {
		t.Fatal("the process has not marked what is to be counted")
	}
	calls := make(map[string]int)
	call := regexp.MustCompile(`^\d+ +(\w+)\((.*)`)
	file := regexp.MustCompile(regexp.QuoteMeta(disk) + `/([\w.-]+)`)
	for line := range strings.Lines(counted) {
		c := call.FindStringSubmatch(line)
		if c == nil || c[1] == "openat" && !strings.Contains(c[2], "O_CREAT") && !strings.Contains(c[2], "O_TRUNC") {
			continue // the end of a call that was interrupted, or one that changes nothing
		}
		for _, name := range file.FindAllStringSubmatch(c[2], -1) {
			calls[c[1]+" "+name[1]]++
		}
	}
	return calls
}

// pollTraced is the process that is traced: an edge that polls for a while, and marks in the trace the polls that count.
func pollTraced(t *testing.T, layout string) {
	disk, memory := os.Getenv(diskVariable), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newPairBed(t, disk)
		c := b.settings()
		if layout != "several" {
			c.Units, c.DeviceID, c.Token = "1", "roof", settings.Secret("roof-0123456789abcdef")
		}
		if layout == "package" {
			c.HealthPath = filepath.Join(memory, "health.json")
		}
		b.startWith(c)
		time.Sleep(2*time.Minute + 2500*time.Millisecond)
		mark := func(name string) { os.Readlink(filepath.Join(disk, name)) }
		synctest.Wait()
		before := b.polls()
		mark("begin")
		for b.polls() < before+costPolls {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		mark("end")
		if n := b.polls() - before; n != costPolls {
			t.Errorf("%d polls were counted", n)
		}
		b.end()
		b.complete()
	})
}

// polls is how often the dongle was polled.
func (b *pairBed) polls() (n int64) {
	for _, e := range b.edges {
		n += e.Report.Now().Polls
	}
	return n
}
