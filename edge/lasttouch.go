package edge

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"time"

	"sunspool/internal/durable"
)

// LastTouch is the content of Pace.File, which keeps a process from polling a dongle that the process before it has just
// polled. It is written twice in the life of a process, so that polls cost a memory card nothing:
//
//	first Wait: "polling" ──── polls ────> Leave: when the dongle was last touched
//
// A process that was killed leaves "polling". Then the spools have the last touch, which is stored with each sample, unless
// a rest or more has passed since: the process may have polled again, without a sample. When it touched the dongle last is
// unknown then, and its successor leaves the dongle alone for a whole rest. No sync is needed: a power cut begins another
// boot.
type lastTouch struct {
	Boot string         `json:"boot"`
	Up   *time.Duration `json:"last_touch_ns,omitempty"` // since that boot; nil while a process polls
}

// recall takes the last touch of an earlier process into account, once.
func (p *Pace) recall() {
	if p.recalled {
		return
	}
	p.recalled = true
	if p.File == "" {
		return
	}
	ago, known := p.lastTouchAgo()
	// A process that could not mark the file may have polled after what the file has. Whether that was so is unknown, but
	// the disk is then likely to refuse this mark, too.
	if p.mark(); !p.marked {
		known = false
	}
	if since := p.Up() - p.stored; p.stored > 0 && since >= 0 && since < p.rest() && (!known || since < ago) {
		ago, known = since, true
	}
	// The clock is read after the file: time that passes in between makes the wait longer, not shorter.
	if !known {
		p.touched, p.touchedUp = now(), p.Up()
		return
	}
	p.last = now().Add(-min(ago, p.Interval+margin))
	p.touchedUp = max(p.Up()-ago, 0)
}

// committed takes into account when the dongle was last touched by what a spool has. It is called before the first poll.
func (p *Pace) committed(touched time.Duration) { p.stored = max(p.stored, touched) }

// lastTouchAgo returns for how long the dongle was not touched, at least.
func (p *Pace) lastTouchAgo() (ago time.Duration, known bool) {
	text, err := os.ReadFile(p.File)
	up := p.Up()
	if errors.Is(err, fs.ErrNotExist) {
		return p.Interval + margin, true // there was none
	}
	var kept lastTouch
	switch {
	case err != nil || json.Unmarshal(text, &kept) != nil || kept.Boot == "":
		return 0, false
	case kept.Boot != p.BootID:
		return up, true // it was before this boot
	case kept.Up == nil || *kept.Up > up: // a machine that was set back to an earlier state has a smaller uptime
		return 0, false
	}
	return up - *kept.Up, true
}

// mark notes in the file that this process polls. A disk that refuses it is asked again at the next touch.
func (p *Pace) mark() {
	if !p.marked {
		p.marked = p.write(lastTouch{Boot: p.BootID}) == nil
	}
}

// Leave notes for the next process when the dongle was last touched. It is called after the last poll.
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
