package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"sunspool/cli/setup"
	"sunspool/edge/report"
	"sunspool/internal/checklist"
)

const welcomeTime = 2 * time.Second // that the services have to answer who asked for nothing

// welcome is printed where nothing was asked for, with the state of this machine in its second line.
const welcome = `sunspool: from a Sungrow inverter to your own server, without losing a sample.
  %s

  sunspool demo      see it work, nothing needed
  sunspool setup     make this machine an edge, a server, or both (as root)
  sunspool probe     find your inverter, and look at it: it is only read
  sunspool status    how the edge and the vps of this machine are
  sunspool --help    every command
`

// printWelcome says where one is, and what there is.
func printWelcome(ctx context.Context, stdout io.Writer) {
	ctx, cancel := context.WithTimeout(ctx, welcomeTime)
	defer cancel()
	var c commands
	state := "its settings cannot be read: sudo sunspool status"
	if _, err := c.parse([]string{"status"}); err == nil {
		state = c.Status.where(ctx, "")
	}
	fmt.Fprintf(stdout, welcome, state)
}

// where is the state of this machine in one line. root is before the paths of its settings.
func (c statusCommand) where(ctx context.Context, root string) string {
	s := c.look(ctx, false)
	line := "configured, " + s.Status + ": " + s.Sentence
	switch {
	case s.Status == report.StateOK:
		line = "configured, healthy"
		for _, h := range s.Edges {
			if isNow(h, time.Now()) {
				line += ": " + powers(h.Sample)
				break
			}
		}
		if len(s.Edges) == 0 {
			line += fmt.Sprintf(": %d devices", len(s.VPS.Devices))
		}
	case s.Status == silent && len(s.Edges) == 0:
		line = silence(s.Denied, root)
	}
	if checklist.PlainLocale() {
		line = strings.ReplaceAll(line, " · ", ", ")
	}
	if most := []rune(line); len(most) > 78 {
		line = string(most[:75]) + "..."
	}
	return line
}

// silence is why nothing answers.
func silence(denied bool, root string) string {
	configured, err := setup.Configured(root)
	switch {
	case denied:
		return "configured; this user may not ask the vps: sudo sunspool status"
	case err != nil:
		return "this user may not see whether it is set up: sudo sunspool status"
	case configured:
		return "configured, and nothing answers: sudo sunspool status"
	}
	return "not set up: sudo sunspool setup"
}
