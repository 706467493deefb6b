package files

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A damaged spool is kept beside the one that took its place, because it may hold what could not be salvaged:
//
//	spool.db.damaged-1, -2 ...   the highest number is the newest; the two newest are kept
//	spool.db.unmerged-1 ...      a whole spool of unknown origin; never removed
//
// Copies are removed only when the spool is open and whole, and never to free space: the health file has their size.
const keptDamaged = 2

// Numbered is one damaged spool that was kept.
type Numbered struct {
	path string
	N    int
	size int64
}

// List returns the files of the spool at path with the ending .kind-N, the newest first.
func List(path, kind string) (all []Numbered, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+"."+kind+"-")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || strconv.Itoa(n) != digits {
			continue
		}
		if info, err := e.Info(); err == nil {
			all = append(all, Numbered{filepath.Join(filepath.Dir(path), e.Name()), n, info.Size()})
		}
	}
	slices.SortStableFunc(all, func(a, b Numbered) int { return cmp.Compare(b.N, a.N) })
	return all, nil
}

// NextName returns the name of the next file of that kind beside the spool at path.
func NextName(path, kind string) (string, error) {
	all, err := List(path, kind)
	if err != nil {
		return "", err
	}
	n := 1
	if len(all) > 0 {
		n = all[0].N + 1
	}
	return fmt.Sprintf("%s.%s-%d", path, kind, n), nil
}

// RemoveDamaged removes all but the newest damaged files beside a spool that is open and whole.
func RemoveDamaged(path string) (warn string) {
	all, err := List(path, "damaged")
	if err != nil || len(all) <= keptDamaged {
		return ""
	}
	var removed []string
	for _, f := range all[keptDamaged:] {
		if err := os.Remove(f.path); err != nil {
			return fmt.Sprintf("an old damaged spool cannot be removed: %v", err)
		}
		removed = append(removed, filepath.Base(f.path))
	}
	return fmt.Sprintf("old damaged spools removed, the newest %d are kept: %s", keptDamaged, strings.Join(removed, ", "))
}

// DamagedBytes is the size of the damaged files beside the spool at path.
func DamagedBytes(path string) (total int64) {
	all, _ := List(path, "damaged")
	for _, f := range all {
		total += f.size
	}
	return total
}
