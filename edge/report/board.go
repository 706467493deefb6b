package report

import (
	"strings"
	"sync"
)

// Board is the one line of a process that reads several inverters, for its service manager: the worst state comes first. Its
// methods may be called from any goroutine. Use NewBoard.
type Board struct {
	notify func(line string)

	mu    sync.Mutex
	lines []boardLine // of each inverter
	last  string
}

type boardLine struct{ device, status, line string }

// NewBoard returns a board for the devices, in their order, that calls notify with each new line.
func NewBoard(devices []string, notify func(line string)) *Board {
	b := &Board{notify: notify}
	for _, device := range devices {
		b.lines = append(b.lines, boardLine{device: device})
	}
	return b
}

// Set replaces the line of a device.
func (b *Board) Set(device, status, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.lines {
		if b.lines[i].device == device {
			b.lines[i] = boardLine{device, status, line}
		}
	}
	if all := joined(b.lines); all != b.last {
		b.last = all
		b.notify(all) // within the lock, so that the last line sent is the newest
	}
}

// joined returns one line that has those of lines that are known, the worst first.
func joined(lines []boardLine) string {
	if len(lines) == 1 {
		return lines[0].line
	}
	var texts []string
	for _, status := range []string{StateBlocked, StateDegraded, StateOK} {
		for _, l := range lines {
			if l.status == status && l.line != "" { // "" is not known yet
				texts = append(texts, l.device+": "+l.line)
			}
		}
	}
	return strings.Join(texts, " | ")
}
