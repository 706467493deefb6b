package setup

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"sunspool/health"
)

// System is the machine that is set up; a test has one of its own.
type System interface {
	// Systemctl does what `systemctl ARGS` does; false means that there is no systemd.
	Systemctl(ctx context.Context, args ...string) (there bool, err error)
}

// thisMachine is the machine on which the program runs.
type thisMachine struct{}

func (thisMachine) Systemctl(ctx context.Context, args ...string) (bool, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return false, nil
	}
	text, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		unit := args[len(args)-1]
		return true, &health.Fault{Code: "unit_failed", What: "systemctl " + strings.Join(args, " ") + " failed", Why: strings.TrimSpace(fmt.Sprint(string(text), " ", err)),
			Next: "sudo sunspool doctor service   # or: journalctl -u " + health.Quote(unit) + " -n 30"}
	}
	return true, nil
}
