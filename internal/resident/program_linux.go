package resident

import (
	"os"
	"strconv"
	"strings"

	"sunspool/internal/durable"
)

// releaseProgram unmaps the pages of the program's file, code and constants. Only mappings that are read-only and have no
// page that differs from the file: such a page would be lost.
func releaseProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range readOnly(string(maps), program) {
		durable.ReleasePages(m.start, int64(m.end-m.start))
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// readOnly returns the read-only mappings of file in the text of smaps that are as the file is.
func readOnly(smaps, file string) (all []mapping) {
	var m mapping
	ours := false
	for line := range strings.Lines(smaps) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 6 && !strings.HasSuffix(f[0], ":"): // 00400000-00c67000 r-xp 00000000 fe:00 123  /usr/bin/sunspool
			from, to, _ := strings.Cut(f[0], "-")
			start, err1 := strconv.ParseUint(from, 16, strconv.IntSize)
			end, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
			m = mapping{uintptr(start), uintptr(end)}
			ours = err1 == nil && err2 == nil && f[1][1] == '-' && strings.Join(f[5:], " ") == file
		case ours && f[0] == "Anonymous:":
			if f[1] == "0" {
				all = append(all, m)
			}
			ours = false
		}
	}
	return all
}
