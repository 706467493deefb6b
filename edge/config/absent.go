package config

import (
	"errors"
	"io/fs"
	"net/http"
	"syscall"

	"sunspool/edge/transport"
	"sunspool/internal/durable"
)

// Absent reports whether err is that of a file that does not exist, or that its disk cannot read.
func Absent(err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	path, ok := errors.AsType[*fs.PathError](err)
	return ok && durable.FromSystem(path) && !errors.Is(path, fs.ErrPermission) && !misplaced(path)
}

// misplaced reports whether err is that of a path that no file can have, whatever is mounted.
func misplaced(err error) bool {
	for _, errno := range []syscall.Errno{syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// UnlessAwaited returns err, or nil if it is that of a file that may come after the start.
func (c *Config) UnlessAwaited(err error) error {
	if !c.Complete && Absent(err) {
		return nil
	}
	return err
}

// Client returns the HTTP client for uploads. While the file of the authority is awaited it makes no request.
func (c *Config) Client() (*http.Client, error) {
	client, err := transport.NewClient(c.trust())
	if err != nil && c.UnlessAwaited(err) == nil {
		return &http.Client{Transport: noTransport{err}}, nil
	}
	return client, err
}

// noTransport takes the place of a transport that has no roots yet.
type noTransport struct{ why error }

func (n noTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, n.why }

// trust is by what the server is known.
func (c *Config) trust() transport.Trust {
	return transport.Trust{CAFile: c.CAFile, Fingerprint: c.Fingerprint}
}
