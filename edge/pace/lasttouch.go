package pace

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"sunspool/internal/durable"
)

// lastTouch is the content of Pace.File. With it a new process does not poll a dongle that its predecessor has just polled.
// The file is written twice per process, so that polls do not wear a memory card:
//
//	first Wait: "polling" ──── polls ────> Leave: time of the last touch
//
// A process that was killed leaves "polling". The last touch is then the one stored in the spools with each sample, unless
// it is older than a rest: the process may have polled again without a sample. The time of the last touch is unknown then,
// and the new process waits for a whole rest. No sync is needed: a power cut starts another boot.
type lastTouch struct {
	Boot string         `json:"boot"`
	Up   *time.Duration `json:"last_touch_ns,omitempty"` // since that boot; nil while a process is polling
}

// recall takes the last touch of the previous process into account, once.
func (p *Pace) recall() {
	if p.recalled {
		return
	}
	p.recalled = true
	if p.File == "" {
		return
	}
	ago, known := p.lastTouchAgo()
	// A process that could not mark the file may have polled later than the file states. That is not known, but the disk
	// is then likely to refuse this mark as well.
	if p.mark(); !p.marked {
		known = false
	}
	if since := p.Up() - p.stored; p.stored > 0 && since >= 0 && since < p.Rest() && (!known || since < ago) {
		ago, known = since, true
	}
	// The clock is read after the file, so that time that passes in between makes the wait longer, not shorter.
	if !known {
		p.touched, p.touchedUp = now(), p.Up()
		return
	}
	p.last = now().Add(-min(ago, p.Interval+Margin))
	p.touchedUp = max(p.Up()-ago, 0)
}

// Committed takes into account the last touch that is stored in a spool. It must be called before the first poll.
func (p *Pace) Committed(touched time.Duration) { p.stored = max(p.stored, touched) }

// lastTouchAgo returns the minimum time since the last touch.
func (p *Pace) lastTouchAgo() (ago time.Duration, known bool) {
	text, err := os.ReadFile(p.File)
	up := p.Up()
	if errors.Is(err, fs.ErrNotExist) {
		return p.Interval + Margin, true // no process has polled yet
	}
	var kept lastTouch
	switch {
	case err != nil || json.Unmarshal(text, &kept) != nil || kept.Boot == "":
		return 0, false
	case kept.Boot != p.BootID:
		return up, true // before this boot
	case kept.Up == nil || *kept.Up > up: // a machine restored to an earlier state has a smaller uptime
		return 0, false
	}
	return up - *kept.Up, true
}

// mark writes to the file that this process polls. If the disk refuses it, the next touch tries again.
func (p *Pace) mark() {
	if !p.marked {
		p.marked = p.write(lastTouch{Boot: p.BootID}) == nil
	}
}

// Leave writes the time of the last touch for the next process. It must be called after the last poll.
func (p *Pace) Leave() {
	if p.File != "" && p.recalled {
		p.marked = false
		_ = p.write(lastTouch{p.BootID, &p.touchedUp}) // without it the next process waits a few seconds
	}
}

func (p *Pace) write(t lastTouch) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return durable.Replace(p.File, append(text, '\n'), 0o600, false)
}
