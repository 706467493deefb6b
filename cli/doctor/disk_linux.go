package doctor

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskOf describes the filesystem of a path.
func diskOf(path string) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Disk{}, err
	}
	block := uint64(s.Bsize)
	kind := uint32(s.Type)
	return Disk{
		Mount: mountOf(path), ReadOnly: s.Flags&unix.ST_RDONLY != 0, Free: s.Bavail * block, Size: s.Blocks * block, Files: s.Files, Left: s.Ffree,
		Memory: kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC,
	}, nil
}

// mountOf is where the filesystem of a path begins.
func mountOf(path string) string {
	var here, above unix.Stat_t
	path, err := filepath.EvalSymlinks(path)
	if err != nil || unix.Stat(path, &here) != nil {
		return "/"
	}
	for path != "/" {
		parent := filepath.Dir(path)
		if unix.Stat(parent, &above) != nil || above.Dev != here.Dev {
			return path
		}
		path = parent
	}
	return path
}
