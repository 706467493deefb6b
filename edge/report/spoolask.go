package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"sunspool/edge/spool"
	"sunspool/edge/spool/inspect"
	"sunspool/health"
)

// Spool is a spool as commands see it: a file that no edge has open, or the edge that has it open. Close it after use.
type Spool struct {
	Path string
	Open bool // an edge has it open

	socket string
	file   *inspect.File
}

// OpenSpool opens the spool at path for a command: the file, or, if an edge has that open, the first of sockets on which this
// edge answers. The error is a *health.Fault.
func OpenSpool(ctx context.Context, path, command string, sockets []string) (*Spool, error) {
	file, err := inspect.Open(path, command, 0)
	fault, _ := errors.AsType[*health.Fault](err)
	if fault != nil && fault.Code != "spool_busy" && !errors.Is(err, os.ErrPermission) {
		return nil, fault
	}
	if err != nil {
		if socket, found := socketOf(ctx, path, sockets); found {
			return &Spool{Path: path, Open: true, socket: socket}, nil
		}
		if fault.Code == "spool_busy" { // it may be another command
			file, err = inspect.Open(path, command, inspect.Wait)
		}
	}
	if err == nil {
		return &Spool{Path: path, file: file}, nil
	}
	if fault, _ = errors.AsType[*health.Fault](err); fault.Code == "spool_busy" {
		fault.Next = "sunspool spool " + command + " --status-socket FILE   # as root, with the status socket of that edge"
	}
	return nil, fault
}

// Close ends the use of a file.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Damage is what is wrong with the file, "" for nothing, and how many samples of it cannot be read. It is known of a file that
// no edge has open; see Verify.
func (s *Spool) Damage() (text string, unreadable int) {
	if s.file == nil {
		return "", 0
	}
	return s.file.Damage, s.file.Unreadable
}

// Info counts what is in the spool.
func (s *Spool) Info(ctx context.Context) (i spool.Info, err error) {
	if s.file != nil {
		return s.file.Info()
	}
	err = askSpool(ctx, s.socket, http.MethodGet, spoolPath, nil, &i)
	i.Path = s.Path
	return i, err
}

// Each calls f with the samples of a part, oldest first.
func (s *Spool) Each(ctx context.Context, part string, f func(spool.Stored) error) error {
	for after := uint64(0); ; {
		var page spool.Page
		var err error
		if s.file != nil {
			page, err = s.file.Page(part, after)
		} else {
			query := url.Values{"part": {part}, "after": {strconv.FormatUint(after, 10)}}
			err = askSpool(ctx, s.socket, http.MethodGet, samplesPath+"?"+query.Encode(), nil, &page)
		}
		if err != nil {
			return err
		}
		for _, sample := range page.Samples {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := f(sample); err != nil {
				return err
			}
		}
		if after = page.Next; after == 0 {
			return nil
		}
	}
}

// Verify returns what is wrong with the spool, "" for nothing. An edge that has it open reads it from its beginning to its end.
func (s *Spool) Verify(ctx context.Context) (damage string, err error) {
	if s.file != nil {
		return s.file.Damage, nil
	}
	var v Verified
	err = askSpool(ctx, s.socket, http.MethodGet, verifyPath, nil, &v)
	return v.Damage, err
}

// Requeue moves samples back from the quarantine, to be delivered once more, and returns how many that were.
func (s *Spool) Requeue(ctx context.Context, c spool.Choice) (int, error) {
	return s.change(ctx, c, requeuePath, inspect.Requeue)
}

// Drop deletes samples from the quarantine and returns how many that were.
func (s *Spool) Drop(ctx context.Context, c spool.Choice) (int, error) {
	return s.change(ctx, c, dropPath, inspect.Drop)
}

func (s *Spool) change(ctx context.Context, c spool.Choice, path string, ofFile func(string, spool.Choice) (int, error)) (int, error) {
	if s.file != nil {
		s.Close() // it has the file locked
		return ofFile(s.Path, c)
	}
	body, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	var done Changed
	err = askSpool(ctx, s.socket, http.MethodPost, path, body, &done)
	return done.Samples, err
}

// askSpool asks the edge at a status socket. The error is a *health.Fault.
func askSpool(ctx context.Context, socket, method, path string, body []byte, answer any) error {
	patience := 30 * time.Second
	if path == verifyPath {
		patience = verifyTime
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://edge"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	silent := func(err error) error {
		return &health.Fault{Code: "edge_silent", Exit: health.ExitUnreachable, What: "the edge does not answer about its spool", Why: socket + ": " + err.Error(), Err: err,
			Next: "sudo sunspool doctor service"}
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return silent(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
			return silent(err)
		}
		return nil
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return silent(fmt.Errorf("status %d: it is an older version", resp.StatusCode))
	case http.StatusForbidden:
		return &health.Fault{Code: "edge_denied", Exit: health.ExitAuth, What: "the edge changes its spool for root and its own user alone", Next: "ask as root, or as the user of the edge"}
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return silent(errors.New(strings.TrimSpace(string(text))))
}
