package resident

import (
	"os"
	"slices"
	"strings"
	"testing"
)

const smapsText = `00400000-00c67000 r-xp 00000000 fe:00 1835 /usr/bin/sun spool
Size:               8604 kB
Rss:                7260 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00c67000-0160b000 r--p 00867000 fe:00 1835 /usr/bin/sun spool
Anonymous:             4 kB
0160b000-01703000 rw-p 0120b000 fe:00 1835 /usr/bin/sun spool
Anonymous:             0 kB
01703000-0374c000 rw-p 00000000 00:00 0
Anonymous:             0 kB
40800000-41000000 rw-p 00000000 00:00 0 [anon: Go: heap]
Anonymous:          4728 kB
7f845000-7f84d000 r--s 00000000 fe:00 99 /data/spool.db
Anonymous:             0 kB
7f891000-7f892000 r--p 00867000 fe:00 1835 /usr/bin/sun spool
Anonymous:             0 kB
`

// Pages that can be written, that differ from the file or that are of another file are not released.
func TestOnlyPagesThatTheFileHasAreReleased(t *testing.T) {
	want := []mapping{{0x400000, 0xc67000}, {0x7f891000, 0x7f892000}}
	if got := readOnly(smapsText, "/usr/bin/sun spool"); !slices.Equal(got, want) {
		t.Errorf("%x", got)
	}
	if got := readOnly(smapsText, "/usr/bin/sun"); got != nil {
		t.Errorf("of another program: %x", got)
	}
}

// A program whose pages were released goes on, with fewer of them in memory.
func TestReleasedProgramGoesOn(t *testing.T) {
	inUse := func() string {
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("SKIPPED, NOTHING IS SHOWN: ", err)
		}
		_, file, _ := strings.Cut(string(text), "RssFile:")
		file, _, _ = strings.Cut(file, "kB")
		return strings.TrimSpace(file)
	}
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	if len(readOnly(string(maps), program)) == 0 {
		t.Fatal("no mapping of this program is found")
	}
	before := inUse()
	for range 3 {
		Release()
	}
	t.Logf("%s kB before, %s kB after", before, inUse())
}
