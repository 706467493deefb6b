package bolt

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"go.etcd.io/bbolt"

	"sunspool/vps/store"
)

const (
	copyLooks = 100 * time.Millisecond
	copyYield = time.Second // how long others wait for a copy
)

// Copy writes the store as it is now, while it is written to, to what begin returns for the number of its bytes. The copy is
// one transaction that reads. While it lasts no page is used again, so the file grows; and once it has grown beyond what is
// mapped of it, all writers and readers wait for the copy, which is then given up: store.ErrCopyInWay. What a whole copy has is
// counted in the same transaction, and noted; a count that would be in the way is given up alone.
func (b *Store) Copy(ctx context.Context, begin func(size int64) io.Writer) error {
	db, tx, err := b.beginCopy()
	if err != nil {
		return err
	}
	// A reader that has all of it and goes ends ctx, and not the count.
	inWay, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ctx, giveUp := context.WithCancelCause(ctx)
	defer context.AfterFunc(inWay, func() { giveUp(context.Cause(inWay)) })()
	looked := make(chan struct{})
	go func() {
		defer close(looked)
		b.lookWhetherOthersWait(inWay, db, cancel)
	}()
	has := store.Backup{Bytes: tx.Size()}
	err = writeTo(ctx, tx, begin)
	if err == nil {
		has.At = time.Now().UTC().Truncate(time.Second)
		count(&has, tx, func() error { return context.Cause(inWay) })
	}
	cancel(nil)
	err = errors.Join(err, tx.Rollback())
	<-looked
	if err == nil {
		b.noteBackup(has)
	}
	return err
}

// beginCopy does not hold b.mu: when the file is replaced meanwhile, its old handle is closed when the transaction ends.
func (b *Store) beginCopy() (*bbolt.DB, *bbolt.Tx, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.db == nil {
		return nil, nil, b.away
	}
	tx, err := b.db.Begin(false)
	if err != nil {
		return nil, nil, store.Unavailable("read "+b.path, err)
	}
	return b.db, tx, nil
}

// lookWhetherOthersWait begins transactions until ctx ends. One that cannot begin waits for the copy, as all do then.
func (b *Store) lookWhetherOthersWait(ctx context.Context, db *bbolt.DB, giveUp func(error)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.closing:
			giveUp(store.ErrClosed)
			return
		case <-time.After(copyLooks):
		}
		waits := time.AfterFunc(copyYield, func() { giveUp(store.ErrCopyInWay) })
		if tx, err := db.Begin(false); err == nil {
			tx.Rollback()
		}
		waits.Stop()
	}
}

func writeTo(ctx context.Context, tx *bbolt.Tx, begin func(size int64) io.Writer) error {
	to := &untilItEnds{ctx: ctx, to: begin(tx.Size())}
	_, err := tx.WriteTo(to)
	return cmp.Or(to.err, err)
}

// untilItEnds writes until its context ends. It keeps its error, of which bbolt returns the text.
type untilItEnds struct {
	ctx context.Context
	to  io.Writer
	err error
}

func (w *untilItEnds) Write(p []byte) (n int, err error) {
	if w.err = context.Cause(w.ctx); w.err == nil {
		n, w.err = w.to.Write(p)
	}
	return n, w.err
}

// CopyClosed is Copy of the file at path that no process has open.
func CopyClosed(ctx context.Context, path string, begin func(size int64) io.Writer) error {
	return reading(path, func(tx *bbolt.Tx) error { return writeTo(ctx, tx, begin) })
}
