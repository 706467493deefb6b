package store

import (
	"context"
	"errors"
	"io"
)

// ErrCopyInWay is why a copy is given up: it holds up the server.
var ErrCopyInWay = errors.New("the file has to grow, for which every reader of it must end")

// File is a store that is one file.
type File interface {
	// Copy writes the file as it is now, while it is written to, to what begin returns for its size. Before it begins, and after
	// it has, it may be given up with ErrCopyInWay.
	Copy(ctx context.Context, begin func(size int64) io.Writer) error
}
