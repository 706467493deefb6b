package api

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"sunspool/vps/problem"
	"sunspool/vps/request"
	"sunspool/vps/store"
)

// backupStall is within which the reader of a backup must take what is written to it. Until the backup is over the store keeps
// what it would use again.
const backupStall = 10 * time.Second

// backupWait is how long a backup waits for the end of another one.
const backupWait = time.Second

var (
	errNoFile      = problem.New(409, "no_store_file", "The samples of this server are in PostgreSQL, which has backups of its own.").WithNext("use pg_dump")
	errBackupTaken = problem.New(503, "backup_under_way", "Another backup is being taken.").WithRetry(time.Minute).WithNext("do it again when that one is over")
	errBackupInWay = problem.New(503, "backup_in_way", "The file of the store has to grow, which is not possible during a backup.").WithRetry(time.Second).WithNext("do it again")
)

// backup answers GET /backup of the operator: the file of the store. One that is given up ends the connection before all of its
// Content-Length is written.
func (s *Server) backup(c *request.Request) (any, error) {
	if s.File == nil {
		return nil, errNoFile
	}
	for began := time.Now(); !s.copying.TryLock(); {
		if time.Since(began) > backupWait || c.HTTP.Context().Err() != nil {
			return nil, errBackupTaken
		}
		time.Sleep(50 * time.Millisecond) // one whose reader has all of it already is counted and noted
	}
	defer s.copying.Unlock()
	c.Release() // it lasts, and is alone
	s.Log.Info("backup begun")
	began, size := s.Now(), int64(0)
	err := s.File.Copy(c.HTTP.Context(), func(n int64) io.Writer {
		size = n
		c.Header().Set("Content-Type", "application/octet-stream")
		c.Header().Set("Content-Length", strconv.FormatInt(n, 10))
		return &prompt{c, http.NewResponseController(c)}
	})
	if err != nil {
		s.Log.Warn("backup given up", "error", err.Error())
		if errors.Is(err, store.ErrCopyInWay) {
			err = errBackupInWay
		}
		return nil, err
	}
	s.Log.Info("backup taken", "bytes", size, "duration_s", int(s.Now().Sub(began).Seconds()))
	return nil, nil
}

// prompt writes to a reader that may not stall.
type prompt struct {
	to      io.Writer
	control *http.ResponseController
}

func (p *prompt) Write(b []byte) (int, error) {
	if err := p.control.SetWriteDeadline(time.Now().Add(backupStall)); err != nil {
		return 0, err
	}
	return p.to.Write(b)
}

// BackupState is the answer of GET /v1/backup: what is known of backups, and how one is made.
type BackupState struct {
	Store    string        `json:"store"`    // file, or postgres
	Last     *store.Backup `json:"last"`     // that was taken of the running server; null if none is known
	Restored *store.Backup `json:"restored"` // from which the store was restored last; null if it was not
	Command  string        `json:"command"`  // that makes one
}

// lastBackup answers GET /v1/backup.
func (s *Server) lastBackup(*request.Request) (any, error) {
	if s.File == nil {
		return BackupState{Store: "postgres", Command: "pg_dump --format=custom"}, nil
	}
	noted := s.File.Backups()
	return BackupState{Store: "file", Last: noted.Last, Restored: noted.Restored, Command: "sudo sunspool vps backup FILE"}, nil
}
