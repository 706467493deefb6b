package store

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrCopyInWay is why a copy is given up: it holds up the server.
var ErrCopyInWay = errors.New("the file has to grow, for which every reader of it must end")

// File is a store that is one file.
type File interface {
	// Copy writes the file as it is now, while it is written to, to what begin returns for its size. Before it begins, and after
	// it has, it may be given up with ErrCopyInWay. One that was written whole is noted.
	Copy(ctx context.Context, begin func(size int64) io.Writer) error

	// Backups returns what is noted beside the file.
	Backups() Backups
}

// Backups are the last backup of a store's file, and the one that it was restored from last. What is not known is nil.
//
// They are beside the file and not in it: a backup in the file would not know of itself, so that after a restore the one
// before it would be taken for the last.
type Backups struct {
	Last     *Backup `json:"last"`
	Restored *Backup `json:"restored"`
}

// Backup is what a backup has.
type Backup struct {
	At      time.Time  `json:"at"` // when it was written whole, or restored
	Bytes   int64      `json:"bytes"`
	Devices *int       `json:"devices"` // nil if they were not counted, because the store was closed, or had to grow
	Samples *int64     `json:"samples"` // the same
	Newest  *time.Time `json:"newest"`  // of its samples; nil without one
}
