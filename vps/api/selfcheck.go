package api

import (
	"context"
	"errors"
	"time"

	"sunspool/health"
	"sunspool/systemd"
)

const selfCheckInterval = 20 * time.Second // of the server by itself

// SelfCheck polls the server through its own listener, by answers, and, if ownFile, test-writes its own database every 20 s
// until ctx ends. The results feed the systemd watchdog, through pulses, and the status line; where is the address in that
// line. A failure of a database or a cache elsewhere is reported, but is no reason for a restart: that would bring neither
// back. Nor would it empty a disk that is full: a file that answers at all is alive.
func (s *Server) SelfCheck(ctx context.Context, where string, answers func(context.Context) error, ownFile bool, pulses *health.Pulses) {
	s.init()
	serving := pulses.Loop("serve")
	var storing *health.Pulse
	if ownFile {
		storing = pulses.Loop("store")
	}
	told := ""
	for {
		if answers(ctx) == nil {
			serving.Beat(selfCheckInterval)
		}
		err := s.writable(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			storing.Beat(selfCheckInterval)
		}
		if ctx.Err() == nil && !s.lastWrite.isMixed(s.Now()) {
			s.tellStored(err)
		}
		if line := s.status(where); line != told {
			systemd.Status(line)
			told = line
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(selfCheckInterval):
		}
	}
}

// status is one line for the service manager.
func (s *Server) status(where string) string {
	for _, link := range s.Chain.Status() {
		if link.State == health.Broken {
			return "degraded: " + s.Chain.Sentence()
		}
	}
	return "ok: serving on " + where
}
