package report

import (
	"log/slog"
	"slices"

	"sunspool/edge/reading"
	"sunspool/health"
)

// findingsLog logs what is found out about the unit when it changes, and within bounds when it comes and goes with the
// polls: a change that the bound does not let pass is logged as soon as it may be, if it is still there.
type findingsLog struct {
	logged  reading.Findings // what the log has
	last    reading.Findings
	changes int // of the findings since the last line
	bound   health.Bound
}

func (l *findingsLog) log(f reading.Findings, log *slog.Logger) {
	if f.NoMeter != l.last.NoMeter || f.NoBattery != l.last.NoBattery || !slices.Equal(f.Nulled, l.last.Nulled) {
		l.changes++
	}
	l.last = f
	if f.NoMeter != l.logged.NoMeter && l.allow("meter", f.NoMeter) {
		l.logged.NoMeter = f.NoMeter
		if f.NoMeter {
			l.with(log).Warn("no grid meter", "means", "load and grid power are not known and are left empty")
		} else {
			l.with(log).Info("the grid meter is there again")
		}
	}
	if f.NoBattery != l.logged.NoBattery && l.allow("battery", f.NoBattery) {
		l.logged.NoBattery = f.NoBattery
		l.with(log).Info("battery", "connected", !f.NoBattery)
	}
	if !slices.Equal(f.Nulled, l.logged.Nulled) && l.allowRegisters(f.Nulled) {
		l.logged.Nulled = slices.Clone(f.Nulled)
		if len(f.Nulled) > 0 {
			l.with(log).Warn("implausible registers left out", "registers", f.Nulled)
		} else {
			l.with(log).Info("no register is implausible any more")
		}
	}
}

// with adds how many changes were not logged before a line.
func (l *findingsLog) with(log *slog.Logger) *slog.Logger {
	missed := l.changes - 1
	l.changes = 0
	if missed > 0 {
		return log.With("changes_not_logged", missed)
	}
	return log
}

func (l *findingsLog) allow(what string, missing bool) bool {
	if missing {
		what = "no " + what
	}
	return l.bound.Allow(now(), what)
}

// allowRegisters reports whether the list of registers may be logged: any in it that was not in the log lately may.
func (l *findingsLog) allowRegisters(registers []string) bool {
	if len(registers) == 0 {
		return l.bound.Allow(now(), "no registers")
	}
	for _, name := range registers {
		if !slices.Contains(l.logged.Nulled, name) && l.bound.Allow(now(), "register "+name) {
			return true
		}
	}
	fewer := !slices.ContainsFunc(registers, func(name string) bool { return !slices.Contains(l.logged.Nulled, name) })
	return fewer && l.bound.Allow(now(), "fewer registers")
}
