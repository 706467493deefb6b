package bolt

import (
	"bytes"
	"os"
	"strconv"
	"sync"

	"go.etcd.io/bbolt"

	"sunspool/internal/durable"
)

// dropPageCache makes the system read the file from the disk again. After a failed flush Linux marks pages as clean that
// never reached the disk, and reads would continue to return them. Best effort: pages in use stay.
func dropPageCache(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	_ = durable.DropPageCache(f)
}

// releaseMapped releases the pages of the file that are mapped. They stay in the page cache, and a read maps them again.
func releaseMapped(tx *bbolt.Tx) {
	durable.ReleasePages(tx.DB().Info().Data, tx.Size())
}

// mapped returns how many bytes of files are mapped into this process and in memory.
func mapped() int64 {
	var text [128]byte
	n, _ := statm().ReadAt(text[:], 0)
	fields := bytes.Fields(text[:n])
	if len(fields) < 3 {
		return 0
	}
	pages, _ := strconv.ParseInt(string(fields[2]), 10, 64)
	return pages * int64(os.Getpagesize())
}

var statm = sync.OnceValue(func() *os.File {
	f, _ := os.Open("/proc/self/statm")
	return f
})
